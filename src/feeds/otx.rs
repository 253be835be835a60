//! Reads the pulses of Open Threat Exchange.

use serde_json::{Map, Value};

use super::entry::{Collector, Entry};
use crate::models::IndicatorType;

/// Returns whether a document is a pulse, or the answer of the service with several.
pub(super) fn is_otx(document: &Value) -> bool {
    pulses(document).next().is_some()
}

pub(super) fn read(document: &Value, collector: &mut Collector<'_>) {
    for pulse in pulses(document) {
        let indicators = pulse.get("indicators").and_then(Value::as_array);
        for indicator in indicators.into_iter().flatten().filter_map(Value::as_object) {
            take(pulse, indicator, collector);
        }
    }
}

/// Iterates over the objects that have a list `indicators` of values with types.
fn pulses(document: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let several = document.get("results").unwrap_or(document);
    let list = several
        .as_array()
        .map_or(std::slice::from_ref(several), Vec::as_slice);
    let is_pulse = |pulse: &&Map<String, Value>| {
        let first = pulse.get("indicators").and_then(|indicators| indicators.get(0));
        first.is_some_and(|first| first.get("indicator").is_some())
    };
    list.iter().filter_map(Value::as_object).filter(is_pulse)
}

fn take(pulse: &Map<String, Value>, indicator: &Map<String, Value>, collector: &mut Collector<'_>) {
    let text = |name: &str| indicator.get(name).and_then(Value::as_str);
    let (value, type_name) = (
        text("indicator").unwrap_or_default(),
        text("type").unwrap_or_default(),
    );
    let Some(indicator_type) = type_of(type_name) else {
        return collector.refuse(None, value, format!("logs are compared with no {type_name}"));
    };
    if indicator
        .get("is_active")
        .is_some_and(|active| active == 0 || active == false)
    {
        return collector.refuse(None, value, "it is not active any more");
    }
    let mut metadata = Map::new();
    let said = [
        ("pulse", pulse.get("name")),
        ("pulse_id", pulse.get("id")),
        ("tags", pulse.get("tags")),
    ];
    let of_indicator = ["created", "title", "description"].map(|name| (name, indicator.get(name)));
    for (name, value) in said.into_iter().chain(of_indicator) {
        if let Some(value) = value.filter(|value| !value.is_null() && *value != "") {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(level) = pulse.get("TLP").or_else(|| pulse.get("tlp")) {
        metadata.insert("tlp".to_owned(), level.clone());
    }
    let mut entry = Entry {
        value,
        indicator_type: Some(indicator_type),
        threat_type: text("role").filter(|role| !role.is_empty()).map(str::to_owned),
        metadata,
        ..Entry::default()
    };
    entry.set_expiry(text("expiration"));
    collector.take(None, entry);
}

fn type_of(name: &str) -> Option<IndicatorType> {
    Some(match name {
        "IPv4" | "IPv6" => IndicatorType::Ip,
        "CIDR" => IndicatorType::Cidr,
        "domain" | "hostname" => IndicatorType::Domain,
        "URL" | "URI" => IndicatorType::Url,
        "email" => IndicatorType::Email,
        name if name.starts_with("FileHash-") => IndicatorType::FileHash,
        _ => return None,
    })
}
