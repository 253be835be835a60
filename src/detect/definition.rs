//! The definitions of rules as a store keeps them: Sigma's own members, and what their import says.

use serde_json::Value;

use crate::models::DetectionRule;

/// Names the type of the rules that a [`Detector`](super::Detector) applies: see [`DetectionRule::rule_type`].
pub const SIGMA: &str = "sigma";

/// Names the member of a definition that holds what its import says about the rule.
pub(super) const IMPORT: &str = "logstore";

/// Returns the definition of a rule without what its import says about it.
pub fn own_definition(definition: &Value) -> Value {
    let mut own = definition.clone();
    if let Some(members) = own.as_object_mut() {
        members.remove(IMPORT);
    }
    own
}

/// Returns a member that the import of a rule added to its definition: `file`, `verdict` or `reason`.
pub fn import_note<'r>(rule: &'r DetectionRule, name: &str) -> Option<&'r str> {
    rule.rule_definition.get(IMPORT)?.get(name)?.as_str()
}
