//! Address, user, action and outcome from messages that everyone knows.
//!
//! Whoever tries to log in chooses the user's name. Where an address follows it, the last one counts: that
//! one the daemon wrote.

use std::sync::LazyLock;

use regex::Regex;

use super::access;
use crate::models::{Json, Members};

/// A message that is known: what it holds, what it means, and where in it the values stand. The names of
/// the groups are the names of the fields, with `__` for a dot.
struct Extractor {
    /// Found in every such message; looking for it is cheap.
    mark: &'static str,
    pattern: &'static str,
    action: &'static str,
    outcome: Option<&'static str>,
}

const SUCCESS: Option<&str> = Some("success");
const FAILURE: Option<&str> = Some("failure");

const EXTRACTORS: &[Extractor] = &[
    // OpenSSH
    Extractor {
        mark: "Failed ",
        pattern: r"Failed \S+ for (?:invalid user )?(?P<user>.*) from (?P<source_ip>\S+) port (?P<source__port>\d+)",
        action: "ssh_login",
        outcome: FAILURE,
    },
    Extractor {
        mark: "Accepted ",
        pattern: r"Accepted \S+ for (?P<user>.*) from (?P<source_ip>\S+) port (?P<source__port>\d+)",
        action: "ssh_login",
        outcome: SUCCESS,
    },
    Extractor {
        mark: "nvalid user ",
        pattern: r"^(?:input_userauth_request: )?[Ii]nvalid user (?P<user>.*?)(?: from (?P<source_ip>\S+)(?: port (?P<source__port>\d+))?)?(?: \[preauth\])?$",
        action: "ssh_login",
        outcome: FAILURE,
    },
    Extractor {
        mark: "maximum authentication attempts exceeded",
        pattern: r"exceeded for (?:invalid user )?(?P<user>.*) from (?P<source_ip>\S+) port (?P<source__port>\d+)",
        action: "ssh_login",
        outcome: FAILURE,
    },
    Extractor {
        mark: "reverse mapping checking",
        pattern: r"for (?P<source__domain>\S+) \[(?P<source_ip>[^\]]+)\] failed",
        action: "reverse_mapping_check",
        outcome: FAILURE,
    },
    Extractor {
        mark: "Connection closed by ",
        pattern: r"^Connection closed by (?:(?:authenticating|invalid) user (?P<user>.*?) )?(?P<source_ip>[0-9A-Fa-f.:]+)(?: port (?P<source__port>\d+)|\s|$)",
        action: "ssh_disconnect",
        outcome: None,
    },
    Extractor {
        mark: "isconnect",
        pattern: r"(?:Received disconnect from|Disconnected from|Disconnecting)(?: (?:authenticating |invalid )?user (?P<user>\S*))? (?P<source_ip>[0-9A-Fa-f.:]+?)(?::? |$)(?:port (?P<source__port>\d+))?",
        action: "ssh_disconnect",
        outcome: None,
    },
    Extractor {
        mark: "identification string from",
        pattern: r"identification string from (?P<source_ip>[0-9A-Fa-f.:]+)",
        action: "ssh_connection",
        outcome: FAILURE,
    },
    // PAM
    Extractor {
        mark: "authentication failure;",
        pattern: r"authentication failure;(?:.*? rhost=(?P<source_ip>[^\s=]+)(?:\s|$))?(?:.*?\suser=(?P<user>\S+))?",
        action: "authentication",
        outcome: FAILURE,
    },
    Extractor {
        mark: "more authentication failure",
        pattern: r"more authentication failures?;(?:.*? rhost=(?P<source_ip>[^\s=]+)(?:\s|$))?(?:.*?\suser=(?P<user>\S+))?",
        action: "authentication",
        outcome: FAILURE,
    },
    Extractor {
        mark: "check pass; user unknown",
        pattern: "user unknown",
        action: "authentication",
        outcome: FAILURE,
    },
    Extractor {
        mark: "session opened for user ",
        pattern: r"session opened for user (?P<user>[^\s(]+)",
        action: "session_opened",
        outcome: SUCCESS,
    },
    Extractor {
        mark: "session closed for user ",
        pattern: r"session closed for user (?P<user>[^\s(]+)",
        action: "session_closed",
        outcome: SUCCESS,
    },
    // sudo
    Extractor {
        mark: "incorrect password attempt",
        pattern: r"^\s*(?P<user>\S+) : \d+ incorrect password attempts? ;.* USER=(?P<user__effective__name>\S+) ; COMMAND=(?P<process__command_line>.*)$",
        action: "sudo",
        outcome: FAILURE,
    },
    Extractor {
        mark: "NOT in sudoers",
        pattern: r"^\s*(?P<user>\S+) : .*?NOT in sudoers ;.* USER=(?P<user__effective__name>\S+) ; COMMAND=(?P<process__command_line>.*)$",
        action: "sudo",
        outcome: FAILURE,
    },
    Extractor {
        mark: "; COMMAND=",
        pattern: r"^\s*(?P<user>\S+) : (?:HOST=\S+ ; )?(?:TTY=\S+ ; )?PWD=.*? ; USER=(?P<user__effective__name>\S+) ;.*? ?COMMAND=(?P<process__command_line>.*)$",
        action: "sudo",
        outcome: SUCCESS,
    },
    // su
    Extractor {
        mark: "uccessful su for ",
        pattern: r"^Successful su for (?P<user__effective__name>\S+) by (?P<user>\S+)",
        action: "su",
        outcome: SUCCESS,
    },
    Extractor {
        mark: "FAILED su for ",
        pattern: r"^FAILED su for (?P<user__effective__name>\S+) by (?P<user>\S+)",
        action: "su",
        outcome: FAILURE,
    },
    Extractor {
        mark: "FAILED SU (to ",
        pattern: r"^FAILED SU \(to (?P<user__effective__name>[^)\s]+)\) (?P<user>\S+) on",
        action: "su",
        outcome: FAILURE,
    },
    Extractor {
        mark: "(to ",
        pattern: r"^\(to (?P<user__effective__name>[^)\s]+)\) (?P<user>\S+) on",
        action: "su",
        outcome: SUCCESS,
    },
    Extractor {
        mark: "'su ",
        pattern: r"'su (?P<user__effective__name>[^'\s]+)' failed for (?P<user>\S+)",
        action: "su",
        outcome: FAILURE,
    },
];

/// One look at a message tells that no extractor knows it.
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    let marks: Vec<String> = EXTRACTORS
        .iter()
        .map(|extractor| regex::escape(extractor.mark))
        .collect();
    Regex::new(&marks.join("|")).expect("escaped texts are a pattern")
});

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    EXTRACTORS
        .iter()
        .map(|extractor| Regex::new(extractor.pattern).expect("a test compiles each pattern"))
        .collect()
});

/// Adds what a message says to the fields of its log; what is there already stays.
pub(super) fn extract<'a>(message: &'a str, normalized: &mut Members<'a>) {
    if MARKS.is_match(message) {
        let known = EXTRACTORS.iter().zip(PATTERNS.iter());
        let mut candidates = known.filter(|(extractor, _)| message.contains(extractor.mark));
        if candidates.any(|(extractor, pattern)| apply(extractor, pattern, message, normalized)) {
            return;
        }
    }
    if message.contains("\" ")
        && normalized.get("http").is_none()
        && let Some(fields) = access::inside(message)
    {
        for (name, value) in fields {
            normalized.insert_if_missing(name, value);
        }
    }
}

fn apply<'a>(extractor: &Extractor, pattern: &Regex, message: &'a str, normalized: &mut Members<'a>) -> bool {
    let Some(captures) = pattern.captures(message) else {
        return false;
    };
    for name in pattern.capture_names().flatten() {
        let value = captures.name(name).map(|found| found.as_str());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            normalized.insert_if_missing(name.replace("__", "."), value_of(name, value));
        }
    }
    normalized.insert_if_missing("action", extractor.action);
    if let Some(outcome) = extractor.outcome {
        normalized.insert_if_missing("outcome", outcome);
    }
    true
}

fn value_of<'a>(name: &str, text: &'a str) -> Json<'a> {
    match text.parse::<u16>() {
        Ok(port) if name.ends_with("port") => port.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(message: &str) -> [Option<String>; 4] {
        let mut normalized = Members::default();
        extract(message, &mut normalized);
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
                "::1 a b ssh_login failure",
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
                "- webmaster ssh_login failure",
            ),
            (
                "Invalid user webmaster from 173.234.31.186",
                "173.234.31.186 webmaster ssh_login failure",
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
                "218.188.2.4 - authentication failure",
            ),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
                "203.0.113.9 root authentication failure",
            ),
            (
                "authentication failure; logname= uid=0 tty=ssh ruser= rhost= user=root",
                "- root authentication failure",
            ),
            (
                "session opened for user root by (uid=0)",
                "- root session_opened success",
            ),
            (
                "pam_unix(su:session): session closed for user bob",
                "- bob session_closed success",
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
        ];
        for (message, expected) in cases {
            let found = extracted(message).map(|value| value.unwrap_or_else(|| "-".into()));
            assert_eq!(found.join(" "), expected, "{message}");
        }
    }

    #[test]
    fn what_is_there_already_stays() {
        let mut normalized = Members::default();
        normalized.insert("user", "alice");
        extract(
            "Failed password for root from 203.0.113.9 port 4242 ssh2",
            &mut normalized,
        );
        assert_eq!(normalized.get("user").and_then(Json::as_str), Some("alice"));
        assert_eq!(normalized.get("source.port").and_then(Json::as_u64), Some(4242));
    }
}
