use crate::Scale;
use crate::report::Report;
pub(crate) fn measure(_: &Scale, _: &mut Report) {}
