//! Finds address, user, action and outcome in messages of well-known daemons.
//!
//! A client chooses the name of the user, and most of the text that a daemon quotes. So a mark counts at the start of a
//! message only. A message is taken apart from its fixed ends inwards. See [`Readings`] for messages that can be read
//! in two ways.
//!
//! Messages are taken apart by hand, as lines are. Regular expressions take most of their time to locate their groups.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use memchr::memmem;

use super::fields::Outcome;
use super::marked::Marked;
use super::readings::Readings;
use super::{access_log, pam, sshd, su, syslog};
use crate::models::{Members, TimeContext};

/// Describes a message that is known by a mark in it.
struct Extractor {
    mark: &'static str,
    /// Names the programs that write such messages.
    writer: Writer,
    /// Takes apart what is before and after the mark.
    read: for<'a> fn(&Marked<'a>) -> Option<Readings<'a>>,
    action: &'static str,
    outcome: Option<&'static str>,
}

/// Names the programs that write a message. Another program with a client's text for a message must not pass for them.
#[derive(Debug, Clone, Copy)]
enum Writer {
    OpenSsh,
    /// Programs write what PAM's modules say under their own names.
    AnyProgram,
    Sudo,
    Su,
}

impl Writer {
    /// Names the definition of the library for the messages of these programs.
    const fn format(self) -> &'static str {
        match self {
            Self::OpenSsh => "openssh",
            Self::AnyProgram => "linux-pam",
            Self::Sudo => "sudo",
            Self::Su => "su",
        }
    }

    /// Returns whether a program is one of these. A program that is not known may be.
    fn may_be(self, program: Option<&str>) -> bool {
        let Some(program) = program else { return true };
        match self {
            Self::OpenSsh => memmem::find(program.to_ascii_lowercase().as_bytes(), b"ssh").is_some(),
            Self::AnyProgram => true,
            Self::Sudo => program.ends_with("sudo"),
            Self::Su => {
                matches!(program.rsplit('/').next(), Some("su" | "su-l")) || program.starts_with("su(")
            }
        }
    }
}

const SUCCESS: Option<&str> = Some("success");
const FAILURE: Option<&str> = Some("failure");

const fn extractor(
    writer: Writer,
    mark: &'static str,
    read: for<'a> fn(&Marked<'a>) -> Option<Readings<'a>>,
    action: &'static str,
    outcome: Option<&'static str>,
) -> Extractor {
    Extractor {
        mark,
        writer,
        read,
        action,
        outcome,
    }
}

/// Lists the messages that are known by a mark.
///
/// One attempt has one outcome: of the lines of OpenSSH, only `Accepted` and `Failed` say how it ended.
const EXTRACTORS: &[Extractor] = &[
    // OpenSSH
    extractor(Writer::OpenSsh, "Failed ", sshd::login, "ssh_login", FAILURE),
    extractor(Writer::OpenSsh, "Accepted ", sshd::login, "ssh_login", SUCCESS),
    extractor(
        Writer::OpenSsh,
        "nvalid user ",
        sshd::invalid_user,
        "ssh_login",
        None,
    ),
    extractor(Writer::OpenSsh, "PAM: ", sshd::refused_by_pam, "ssh_login", None),
    extractor(
        Writer::OpenSsh,
        "maximum authentication attempts exceeded for ",
        sshd::too_many_attempts,
        "ssh_login",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "reverse mapping checking",
        sshd::reverse_mapping,
        "reverse_mapping_check",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Connection closed by ",
        sshd::ended,
        "ssh_disconnect",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Connection reset by ",
        sshd::ended,
        "ssh_disconnect",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Disconnected from ",
        sshd::ended,
        "ssh_disconnect",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Received disconnect from ",
        sshd::source_first,
        "ssh_disconnect",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Disconnecting ",
        sshd::ended_by_us,
        "ssh_disconnect",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Unable to negotiate with ",
        sshd::ended_by_us,
        "ssh_connection",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Did not receive identification string from ",
        sshd::source_first,
        "ssh_connection",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Connection from ",
        sshd::connection,
        "ssh_connection",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Timeout before authentication for ",
        sshd::source_first,
        "ssh_connection",
        None,
    ),
    extractor(
        Writer::OpenSsh,
        "Bad protocol version identification '",
        sshd::bad_identification,
        "ssh_connection",
        None,
    ),
    // PAM
    extractor(
        Writer::AnyProgram,
        "authentication failure;",
        pam::authentication_failure,
        "authentication",
        FAILURE,
    ),
    extractor(
        Writer::AnyProgram,
        "authentication failures;",
        pam::authentication_failure,
        "authentication",
        FAILURE,
    ),
    extractor(
        Writer::AnyProgram,
        "check pass; user unknown",
        pam::unknown_user,
        "authentication",
        None,
    ),
    extractor(
        Writer::AnyProgram,
        "session opened for user ",
        pam::session,
        "session_opened",
        SUCCESS,
    ),
    extractor(
        Writer::AnyProgram,
        "session closed for user ",
        pam::session,
        "session_closed",
        None,
    ),
    // sudo
    extractor(Writer::Sudo, "PWD=", su::sudo, "sudo", SUCCESS),
    // su
    extractor(Writer::Su, "Successful su for ", su::by, "su", SUCCESS),
    extractor(Writer::Su, "FAILED su for ", su::by, "su", FAILURE),
    extractor(Writer::Su, "FAILED SU (to ", su::on, "su", FAILURE),
    extractor(Writer::Su, "(to ", su::on, "su", SUCCESS),
    extractor(Writer::Su, "'su ", su::failed_for, "su", FAILURE),
];

/// Finds the marks in a message with one scan. Most messages have none.
static MARKS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let marks = EXTRACTORS.iter().map(|extractor| extractor.mark);
    let built = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(marks);
    built.expect("a few short texts")
});

/// Limits the marks of a message that are examined: daemons write few, and each may search the whole message.
const MOST_MARKS: usize = 8;

/// Says what was extracted from a message, besides its fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extracted {
    /// Names the definition of the library that such messages have.
    pub(crate) format: Option<&'static str>,
    /// Names the fields that the message can be read to say different things for. These stay empty.
    pub(crate) ambiguous: Vec<&'static str>,
}

/// Adds what a message of a program says to the fields of its log. Fields that the log has already stay.
///
/// Returns `None` where it is no message of these programs.
pub(crate) fn extract<'a>(
    program: Option<&'a str>,
    message: &'a str,
    proxies: &[IpNet],
    normalized: &mut Members<'a>,
) -> Option<Extracted> {
    if let Some(mark) = MARKS.find(message) {
        let inner = match mark.start() {
            0 => Inner::bare(program, message),
            _ => Inner::of(program, message),
        };
        if let Some(extracted) = inner.extract(normalized) {
            return Some(extracted);
        }
    }
    if has_quote_before_space(message)
        && normalized.get("http").is_none()
        && let Some(fields) = access_log::inside(message, proxies)
    {
        let mut ambiguous = fields.ambiguous;
        ambiguous.retain(|name| normalized.get(name).is_none());
        for (name, value) in fields.normalized {
            normalized.insert_if_missing(name, value);
        }
        return Some(Extracted {
            format: None,
            ambiguous,
        });
    }
    None
}

/// Returns whether a text in quotes ends within the message, as a request does in a line of an access log.
fn has_quote_before_space(message: &str) -> bool {
    let bytes = message.as_bytes();
    memchr::memchr_iter(b'"', bytes).any(|quote| bytes.get(quote + 1) == Some(&b' '))
}

/// Holds the message of a program, without the header and the count that others put around it.
struct Inner<'a> {
    program: Option<&'a str>,
    message: &'a str,
    /// Says how many times the program said it.
    repeated: Option<u64>,
}

impl<'a> Inner<'a> {
    fn bare(program: Option<&'a str>, message: &'a str) -> Self {
        Self {
            program,
            message: message.trim_start(),
            repeated: None,
        }
    }

    fn of(program: Option<&'a str>, message: &'a str) -> Self {
        let (program, message) = match without_header(program, message) {
            // A program that is known speaks for itself only.
            (inner, _) if program.is_some() && inner != program => (program, message),
            inner => inner,
        };
        match repeated(message) {
            Some((times, message)) => Self {
                repeated: Some(times),
                ..Self::bare(program, message)
            },
            None => Self::bare(program, message),
        }
    }

    fn extract(&self, normalized: &mut Members<'a>) -> Option<Extracted> {
        for mark in MARKS.find_iter(self.message).take(MOST_MARKS) {
            let extractor = &EXTRACTORS[mark.pattern()];
            if !extractor.writer.may_be(self.program) {
                continue;
            }
            let marked = Marked {
                program: self.program,
                before: &self.message[..mark.start()],
                after: &self.message[mark.end()..],
            };
            let Some(readings) = (extractor.read)(&marked) else {
                continue;
            };
            let outcome = readings.outcome_or(extractor.outcome);
            let ambiguous = readings.insert_into(normalized);
            normalized.insert_if_missing("action", extractor.action);
            if let Some(outcome) = outcome {
                normalized.insert_if_missing("outcome", outcome);
            }
            if let Some(times) = self.repeated {
                normalized.insert_if_missing("repeated", times);
            }
            return Some(Extracted {
                format: Some(extractor.writer.format()),
                ambiguous,
            });
        }
        None
    }
}

/// Takes the header of a message off, or only its tag. Relays pass on whole lines of syslog as messages.
fn without_header<'a>(program: Option<&'a str>, message: &'a str) -> (Option<&'a str>, &'a str) {
    let message = match message.strip_prefix('<').and_then(|rest| rest.split_once("> ")) {
        // `<auth.info> `, as syslogd of the BSDs writes with -v.
        Some((level, rest)) if level.contains('.') && !level.contains(' ') => rest,
        _ => message,
    };
    // The time itself is not used.
    let context = TimeContext::new(DateTime::<Utc>::UNIX_EPOCH);
    let may_have_time =
        message.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '<');
    for read in [syslog::rfc5424, syslog::rfc3164] {
        if may_have_time
            && let Outcome::Fields(fields) = read(message, &context)
            && let Some(inner) = fields.message
            && fields.appname.is_some()
        {
            return (fields.appname, inner);
        }
    }
    match syslog::own_tag(message) {
        Some((program, inner)) => (Some(program), inner),
        None => (program, message),
    }
}

/// Reads `message repeated 5 times: [ Failed password for root]`, as rsyslog writes.
fn repeated(message: &str) -> Option<(u64, &str)> {
    let (times, rest) = message.strip_prefix("message repeated ")?.split_once(' ')?;
    let inner = rest.strip_prefix("times: [")?.trim_end().strip_suffix(']')?;
    Some((times.parse().ok()?, inner.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::models::{Json, PRIVATE_NETWORKS};

    fn extracted(message: &str) -> [Option<String>; 4] {
        let mut normalized = Members::default();
        extract(None, message, &PRIVATE_NETWORKS, &mut normalized);
        ["source_ip", "user", "action", "outcome"]
            .map(|name| normalized.get(name).and_then(Json::as_str).map(str::to_owned))
    }

    #[test]
    fn knows_the_messages_of_logins() {
        let cases = [
            (
                "Failed password for root from 203.0.113.9 port 4242 ssh2",
                "203.0.113.9 root ssh_login failure",
            ),
            (
                "Failed none for invalid user a b from ::1 port 1 ssh2",
                "::1 a b ssh_login -",
            ),
            (
                "Accepted publickey for alice from 198.51.100.7 port 22 ssh2: RSA x",
                "198.51.100.7 alice ssh_login success",
            ),
            (
                "Failed password for invalid user x from 1.1.1.1 port 1 ssh2 from 203.0.113.9 port 9 ssh2",
                "203.0.113.9 x from 1.1.1.1 port 1 ssh2 ssh_login failure",
            ),
            (
                "input_userauth_request: invalid user webmaster [preauth]",
                "- webmaster ssh_login -",
            ),
            (
                "Invalid user webmaster from 173.234.31.186",
                "173.234.31.186 webmaster ssh_login -",
            ),
            (
                "Connection closed by invalid user x 203.0.113.9 port 9 [preauth]",
                "203.0.113.9 x ssh_disconnect -",
            ),
            (
                "Connection closed by 203.0.113.9 [preauth]",
                "203.0.113.9 - ssh_disconnect -",
            ),
            (
                "Received disconnect from 203.0.113.9: 11: Bye Bye [preauth]",
                "203.0.113.9 - ssh_disconnect -",
            ),
            (
                "Disconnected from user bob 203.0.113.9 port 5",
                "203.0.113.9 bob ssh_disconnect -",
            ),
            (
                "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4 ",
                "218.188.2.4 - authentication -",
            ),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
                "203.0.113.9 root authentication -",
            ),
            (
                "authentication failure; logname= uid=0 tty=ssh ruser= rhost= user=root",
                "- root authentication -",
            ),
            (
                "session opened for user root by (uid=0)",
                "- root session_opened success",
            ),
            (
                "pam_unix(su:session): session closed for user bob",
                "- bob session_closed -",
            ),
            (
                "alice : TTY=pts/6 ; PWD=/home ; USER=root ; COMMAND=/usr/bin/tail /var/log/messages",
                "- alice sudo success",
            ),
            (
                "mallory : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
                "- mallory sudo failure",
            ),
            (
                "mallory : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
                "- mallory sudo failure",
            ),
            ("Successful su for root by alice", "- alice su success"),
            (
                "'su root' failed for lonvick on /dev/pts/8",
                "- lonvick su failure",
            ),
            ("(to root) alice on pts/0", "- alice su success"),
            (
                "203.0.113.9 - bob [28/Dec/2019:16:49:07 +0000] \"GET / HTTP/1.1\" 304 0 \"-\" \"x\"",
                "203.0.113.9 bob http_request success",
            ),
            (
                "127.0.0.1 - - \"GET /bad.foo HTTP/1.1\" 404 65508 4.386",
                "127.0.0.1 - http_request failure",
            ),
            ("nothing known", "- - - -"),
            ("127.0.0.1 - - \"GET /bad.foo HTTP/1.1\"404 65508", "- - - -"),
            (
                "mallory : no incorrect password attempt ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
                "- - - -",
            ),
        ];
        for (message, expected) in cases {
            let found = extracted(message).map(|value| value.unwrap_or_else(|| "-".into()));
            assert_eq!(found.join(" "), expected, "{message}");
        }
    }

    #[test]
    fn the_user_of_a_session_is_the_one_who_acts() {
        for (message, user) in [
            (
                "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
                "alice",
            ),
            (
                "pam_unix(su:session): session opened for user root by (uid=0)",
                "root",
            ),
            (
                "pam_unix(sshd:session): session opened for user bob by root(uid=0)",
                "bob",
            ),
        ] {
            assert_eq!(extracted(message)[1].as_deref(), Some(user), "{message}");
        }
    }

    #[test]
    fn nobody_can_name_a_folder_like_a_message_of_another_daemon() {
        let message = "mallory : TTY=pts/0 ; PWD=/tmp/Failed password for root from 1.1.1.1 port 1 ; USER=root ; COMMAND=x";
        let found = extracted(message).map(Option::unwrap_or_default);
        assert_eq!(found, ["", "mallory", "sudo", "success"]);
    }

    #[test]
    fn a_line_full_of_marks_is_read_in_no_more_time_than_any_other() {
        for part in [
            "PWD=",
            "Failed x for from ",
            "Failed x for  from ",
            "(to ",
            "'su ",
            "NOT in sudoers",
        ] {
            // The time of looking for each in all of the rest would grow with the square of their number.
            let message = format!("Failed password for {}", part.repeat(300_000));
            assert_eq!(extracted(&message)[0], None, "{part}");
        }
    }

    proptest! {
        #[test]
        fn any_text_around_a_mark_is_taken_apart(
            parts in vec(prop_oneof![
                (0..EXTRACTORS.len()).prop_map(|number| EXTRACTORS[number].mark.to_owned()),
                select(&[" from ", " port ", "1.1.1.1", " : ", " ; USER=", " COMMAND=", ") ", " [", "] failed", "é", " user="][..])
                    .prop_map(str::to_owned),
                "\\PC{0,3}",
            ], 0..12)
        ) {
            let message = parts.concat();
            let mut normalized = Members::default();
            extract(None, &message, &PRIVATE_NETWORKS, &mut normalized);
            let values = normalized.iter().filter_map(|(_, value)| value.as_str());
            let is_known = EXTRACTORS.iter().any(|extractor| message.contains(extractor.mark));
            for value in values {
                let is_constant = ["http_request", "success", "failure"].contains(&value)
                    || is_known && EXTRACTORS.iter().any(|extractor| extractor.action == value);
                prop_assert!(is_constant || message.contains(value), "{value:?} in {message:?}");
            }
        }
    }

    #[test]
    fn what_is_there_already_stays() {
        let mut normalized = Members::default();
        normalized.insert("user", "alice");
        extract(
            None,
            "Failed password for root from 203.0.113.9 port 4242 ssh2",
            &PRIVATE_NETWORKS,
            &mut normalized,
        );
        assert_eq!(normalized.get("user").and_then(Json::as_str), Some("alice"));
        assert_eq!(normalized.get("source.port").and_then(Json::as_u64), Some(4242));
    }
}
