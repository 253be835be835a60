//! Flags that say which alerts a command is about.

use std::net::IpAddr;

use logstore::time::Zone;
use logstore::{AlertQuery, AlertStatus, Severity};

use crate::Result;
use crate::flags::tag;
use crate::typed_time::typed_time;

#[derive(Debug, clap::Args)]
pub(super) struct Conditions {
    /// Of this status: new, in_progress, suppressed, resolved, or any
    #[arg(long, value_parser = wanted_status)]
    status: Option<WantedStatus>,

    /// Of this severity: informational, low, medium, high or critical
    #[arg(long)]
    severity: Option<Severity>,

    /// Of this severity or a higher one
    #[arg(long, value_name = "SEVERITY", conflicts_with = "severity")]
    min_severity: Option<Severity>,

    /// Of the rule with this id, or whose id begins so
    #[arg(long, value_name = "ID")]
    rule: Option<String>,

    /// That this person is responsible for
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,

    /// With just this tag, such as attack.t1059.001, or T1059.001 for short
    #[arg(long, value_parser = tag)]
    tag: Option<String>,

    /// Of this type, such as brute_force
    #[arg(long = "type", value_name = "TYPE")]
    alert_type: Option<String>,

    /// Raised from this time on: 1m or "2 hours ago", today, 10:00, or a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// Raised before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,

    /// With this source address: that of its earliest log
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<IpAddr>,

    /// With this destination address: that of its earliest log
    #[arg(long, value_name = "ADDRESS")]
    dest_ip: Option<IpAddr>,

    /// About this user: the one of its earliest log
    #[arg(long)]
    user: Option<String>,

    /// About this host: the one of its earliest log
    #[arg(long)]
    host: Option<String>,

    /// Only acknowledged alerts
    #[arg(long, conflicts_with = "open")]
    acknowledged: bool,

    /// Only unacknowledged alerts
    #[arg(long)]
    open: bool,
}

#[derive(Debug, Clone, Copy)]
enum WantedStatus {
    Any,
    Only(AlertStatus),
}

fn wanted_status(text: &str) -> Result<WantedStatus, String> {
    match text {
        "any" => Ok(WantedStatus::Any),
        _ => text
            .parse()
            .map(WantedStatus::Only)
            .map_err(|_| "use new, in_progress, suppressed, resolved or any".to_owned()),
    }
}

/// Returns an address as alerts have it.
pub(super) fn canonical_text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

impl Conditions {
    /// Returns the query. Without a flag for the status, it wants alerts of the given ones.
    pub(super) fn query(&self, zone: Zone, usual: &[AlertStatus]) -> Result<AlertQuery> {
        let time = |text: &Option<String>| text.as_ref().map(|text| typed_time(text, zone)).transpose();
        let mut query = AlertQuery::new();
        query.severity = self.severity;
        query.min_severity = self.min_severity;
        query.rule_id.clone_from(&self.rule);
        query.assignee.clone_from(&self.assignee);
        query.tag.clone_from(&self.tag);
        query.alert_type.clone_from(&self.alert_type);
        query.since = time(&self.since)?;
        query.until = time(&self.until)?;
        query.source_ip = self.source_ip.map(canonical_text);
        query.dest_ip = self.dest_ip.map(canonical_text);
        query.user.clone_from(&self.user);
        query.host.clone_from(&self.host);
        query.acknowledged = match (self.acknowledged, self.open) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        query.statuses = match self.status {
            Some(WantedStatus::Any) => Vec::new(),
            Some(WantedStatus::Only(status)) => vec![status],
            None if self.acknowledged => Vec::new(),
            None => usual.to_vec(),
        };
        Ok(query)
    }
}
