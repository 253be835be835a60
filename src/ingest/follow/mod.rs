//! Files that are read as they grow, through rotation.

mod followed;
mod follower;

pub(crate) use followed::ChangedFile;
pub(crate) use follower::Follower;
