//! One table of the names that sources give to the same field.

mod index;
mod table;

use std::sync::LazyLock;

use index::Index;
pub(crate) use index::Place;

/// Names a column of a log that the log's own members fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Time,
    Message,
    Appname,
    Procid,
    Host,
    Hostname,
    File,
    SourceType,
}

impl Slot {
    pub(crate) const COUNT: usize = Self::SourceType as usize + 1;

    /// Returns the name of the column.
    fn column(self) -> &'static str {
        match self {
            Self::Time => "event_time",
            Self::Message => "message",
            Self::Appname => "appname",
            Self::Procid => "procid",
            Self::Host => "host",
            Self::Hostname => "hostname",
            Self::File => "file",
            Self::SourceType => "source_type",
        }
    }

    /// Says whether a name is the column's own. Such a member is moved into the column, and not copied.
    pub(crate) fn is_own(self, name: &str) -> bool {
        name == self.column() || self == Self::Time && name == "timestamp"
    }
}

/// Names what an analyst asks of every log, whatever its source calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    SourceIp,
    DestIp,
    SourcePort,
    DestPort,
    User,
    Process,
    Action,
    Outcome,
    Level,
    /// Names the proxies between the client and the program that logs.
    Forwarded,
}

impl Role {
    pub(crate) const COUNT: usize = Self::Forwarded as usize + 1;

    /// Iterates over the roles that are columns, with their names. The reader of a log may set these.
    pub(crate) fn columns() -> impl Iterator<Item = (Self, &'static str)> {
        table::ROLES
            .iter()
            .filter_map(|(role, _)| Some((*role, role.column()?)))
    }

    /// Returns the name of the column for the role, if there is one.
    pub(crate) fn column(self) -> Option<&'static str> {
        match self {
            Self::SourceIp => Some("source_ip"),
            Self::DestIp => Some("dest_ip"),
            Self::SourcePort => Some("source_port"),
            Self::DestPort => Some("dest_port"),
            Self::User => Some("user"),
            Self::Process => Some("process"),
            Self::Action => Some("action"),
            Self::Outcome => Some("outcome"),
            Self::Level => Some("level"),
            Self::Forwarded => None,
        }
    }
}

/// Says what a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Slot(Slot),
    Role(Role),
}

/// Holds a meaning, and the rank of the name among those of the same meaning. The lower the rank, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub(crate) meaning: Meaning,
    pub(crate) rank: u16,
}

/// Says what is known about a name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    folded: Option<Ranked>,
    /// Holds a spelling that means something else than the other spellings.
    exact: Option<(&'static str, Ranked)>,
    /// Says that members of such an object may complete a name.
    pub(crate) is_begun: bool,
    /// Holds how far members of such an object are from the log's own, from 1; 0 if they do not count as its own.
    pub(crate) distance: u16,
}

impl Known {
    /// Returns the meaning of a key that led here.
    pub(crate) fn meaning_of(&self, key: &str) -> Option<Ranked> {
        match &self.exact {
            Some((spelling, ranked)) if *spelling == key => Some(*ranked),
            _ => self.folded,
        }
    }
}

static INDEX: LazyLock<Index<Known>> = LazyLock::new(|| {
    let mut index = Index::<Known>::new();
    for (name, ranked) in ranked_names() {
        match name.strip_prefix('=') {
            Some(spelling) => index.value_mut(spelling).exact = Some((spelling, ranked)),
            // The first of several spellings is the best.
            None => {
                index.value_mut(name).folded.get_or_insert(ranked);
            }
        }
        mark_beginnings(&mut index, name);
    }
    for (name, distance) in table::OPENED.iter().zip(1..) {
        index.value_mut(name).distance = distance;
        mark_beginnings(&mut index, name);
    }
    index
});

fn mark_beginnings(index: &mut Index<Known>, name: &'static str) {
    for (dot, _) in name.match_indices('.') {
        index.value_mut(&name[..dot]).is_begun = true;
    }
}

fn ranked_names() -> impl Iterator<Item = (&'static str, Ranked)> {
    let slots = table::SLOTS
        .into_iter()
        .map(|(slot, names)| (Meaning::Slot(slot), names));
    let roles = table::ROLES
        .into_iter()
        .map(|(role, names)| (Meaning::Role(role), names));
    slots.chain(roles).flat_map(|(meaning, names)| {
        let ranked = names.iter().zip(0..);
        ranked.map(move |(name, rank)| (*name, Ranked { meaning, rank }))
    })
}

/// Returns where a key leads from a place, and what is known about the name there.
pub(crate) fn find(from: Place, key: &str) -> Option<(Place, &'static Known)> {
    let index = &*INDEX;
    let place = index.after(from, key)?;
    Some((place, index.at(place)?))
}

/// Returns every name under which a source may write what a column holds, with the column.
pub(crate) fn with_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    ranked_names().filter_map(|(name, ranked)| {
        let column = match ranked.meaning {
            Meaning::Slot(slot) => Some(slot.column()),
            Meaning::Role(role) => role.column(),
        };
        Some((name.trim_start_matches('='), column?))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_name_stands_for_two_fields() {
        let mut seen: HashMap<String, Meaning> = HashMap::new();
        for (name, ranked) in ranked_names() {
            let folded = match name.starts_with('=') {
                true => name.to_owned(),
                false => name
                    .chars()
                    .filter(char::is_ascii_alphanumeric)
                    .collect::<String>()
                    .to_lowercase(),
            };
            let before = seen.insert(folded, ranked.meaning).unwrap_or(ranked.meaning);
            assert_eq!(before, ranked.meaning, "{name}");
        }
    }
}
