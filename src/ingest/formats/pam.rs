//! The messages of PAM's modules, which programs write under their own names.

use super::marked::Marked;
use super::readings::{Readings, Values};

/// Names the service that a module worked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Service<'a> {
    name: Option<&'a str>,
    /// Says whether the module is named with the program, as before Linux-PAM 0.99: `su(pam_unix)[42]: `.
    is_old: bool,
}

impl<'a> Service<'a> {
    /// Returns the service, if a module's text precedes a mark: `pam_unix(sshd:auth): `, `PAM 2 more `, or nothing.
    fn of(marked: &Marked<'a>) -> Option<Self> {
        let (module, rest) = match marked.before.split_once("): ") {
            Some((module, rest)) => (Some(module), rest),
            None => (None, marked.before),
        };
        let rest = rest.strip_prefix("PAM ").unwrap_or(rest);
        let count = rest.strip_suffix(" more ").unwrap_or(rest);
        if !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let Some(module) = module else {
            let program = marked.program.unwrap_or_default();
            let old = program.strip_suffix("(pam_unix)");
            return Some(Self {
                name: old.or(marked.program),
                is_old: old.is_some(),
            });
        };
        let (module, service) = module.split_once('(')?;
        let name = service.rsplit_once(':').map_or(service, |(name, _)| name);
        let is_module = module.starts_with("pam_") && !module.contains(' ');
        is_module.then_some(Self {
            name: Some(name),
            is_old: false,
        })
    }

    /// Returns whether the service says itself how an attempt ended, in a line that is known.
    fn has_own_line(&self) -> bool {
        match self.name {
            Some("sshd" | "sshd-session" | "sudo" | "sudo-i") => true,
            Some("su" | "su-l") => !self.is_old,
            _ => false,
        }
    }

    /// Returns whether the service lets one user act as another.
    fn is_of_switch(&self) -> bool {
        const NAMES: [&str; 7] = ["sudo", "sudo-i", "su", "su-l", "runuser", "pkexec", "doas"];
        self.name.is_some_and(|name| NAMES.contains(&name))
    }

    /// Decides the outcome, as one attempt has one: that of the service where it has a line of its own.
    fn judge<'r>(&self, readings: Readings<'r>) -> Readings<'r> {
        match self.has_own_line() {
            true => readings.without_outcome(),
            false => readings,
        }
    }
}

/// Reads `logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root`.
pub(crate) fn authentication_failure<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let mut service = Service::of(marked)?;
    let is_ssh = marked.after.contains(" tty=ssh ") || marked.after.contains(" tty=NODEVssh ");
    if service.name.is_none() && is_ssh {
        service.name = Some("sshd");
    }
    let readings = match marked.after.strip_prefix(" rhost=") {
        Some(text) => host_first(text),
        None => Readings::any(hosts_and_users(marked.after.trim_end())),
    };
    let readings = readings.unwrap_or_else(|| Readings::one(Values::default()));
    Some(service.judge(readings))
}

/// Reads `... ruser=R rhost=H  user=U`. A client may have chosen the texts R and U, but H is a word. U may be missing.
fn hosts_and_users(text: &str) -> impl Iterator<Item = Values<'_>> {
    const HOST: &str = " rhost=";
    text.match_indices(HOST).filter_map(|(at, _)| {
        let text = &text[at + HOST.len()..];
        let (host, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let user = match rest.trim_start().strip_prefix("user=") {
            Some(user) => Some(user),
            None if rest.trim_start().is_empty() => None,
            None => return None,
        };
        Some(Values {
            user: user.filter(|user| !user.is_empty()),
            source: Some(host).filter(|host| !host.is_empty()),
            ..Values::default()
        })
    })
}

/// Reads `[::ffff:203.0.113.9]:4242 user=root@pam msg=any text`, as Proxmox writes. A name there has no blanks.
fn host_first(text: &str) -> Option<Readings<'_>> {
    let (host, rest) = text.split_once(' ').unwrap_or((text, ""));
    let user = rest.strip_prefix("user=")?.split(' ').next();
    Some(Readings::one(Values {
        user,
        source: Some(host),
        ..Values::default()
    }))
}

/// Reads `check pass; user unknown`, which `authentication failure` follows.
pub(crate) fn unknown_user<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    Service::of(marked).map(|_| Readings::one(Values::default()))
}

/// Reads `root(uid=0) by alice(uid=1000)`. Alice is the user where she acts as root; other services act for the first.
pub(crate) fn session<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let service = Service::of(marked)?;
    let user = marked.after.split([' ', '\t', '(']).next()?;
    let actor = actor_of(marked.after).filter(|_| service.is_of_switch());
    (!user.is_empty()).then(|| {
        service.judge(Readings::one(Values {
            user: actor.or(Some(user)),
            effective_user: actor.map(|_| user),
            ..Values::default()
        }))
    })
}

/// Returns the name at the end of `root(uid=0) by alice(uid=1000)`, if there is one.
fn actor_of(text: &str) -> Option<&str> {
    let (_, by) = text.trim_end().rsplit_once(" by ")?;
    let (name, id) = by.strip_suffix(')')?.split_once("(uid=")?;
    let is_name = !name.is_empty() && !name.contains(' ');
    (is_name && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}
