//! Files that are read as they grow, through rotation.

mod followed;
mod follower;
mod rotation;

pub(crate) use followed::ChangedFile;
pub(crate) use follower::Follower;
