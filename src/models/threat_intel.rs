//! Threat intelligence about bad addresses, names and files, and queries for it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::host::{canonical_domain, canonical_url, has_labels, host_of_url};
use super::time::to_micros;
use super::{InvalidValue, check_nesting};

/// Names the threat type of what is harmless
/// ([STIX 2.1](https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html), `indicator-type-ov`).
pub const BENIGN: &str = "benign";

/// Represents something that can be seen in a log and compared with a list.
///
/// Each is kept in one form, so that equal indicators are equal texts:
///
/// ```
/// use logstore::Indicator;
///
/// assert_eq!("EVIL.Example.".parse::<Indicator>()?, Indicator::Domain("evil.example".into()));
/// assert_eq!("10.1.2.3/8".parse::<Indicator>()?.to_string(), "10.0.0.0/8");
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Indicator {
    /// Holds an address.
    Ip(IpAddr),
    /// Holds a network.
    Cidr(IpNet),
    /// Holds a domain name, in lower case, without a dot at the end. An international one is written with `xn--`.
    Domain(String),
    /// Holds a URL, with its scheme.
    Url(String),
    /// Holds an e-mail address, in lower case.
    Email(String),
    /// Holds an MD5, SHA-1, SHA-256 or SHA-512 of a file, in lower-case hexadecimal digits.
    FileHash(String),
}

/// Names the kinds of [`Indicator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IndicatorType {
    /// Means an address.
    Ip,
    /// Means a network.
    Cidr,
    /// Means a domain name.
    Domain,
    /// Means a URL.
    Url,
    /// Means an e-mail address.
    Email,
    /// Means a hash of a file.
    FileHash,
}

impl IndicatorType {
    /// Lists every type.
    pub const ALL: [Self; 6] = [
        Self::Ip,
        Self::Cidr,
        Self::Domain,
        Self::Url,
        Self::Email,
        Self::FileHash,
    ];

    /// Returns the type's name, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Cidr => "cidr",
            Self::Domain => "domain",
            Self::Url => "url",
            Self::Email => "email",
            Self::FileHash => "file_hash",
        }
    }
}

impl fmt::Display for IndicatorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for IndicatorType {
    type Err = InvalidValue;

    /// Reads a type's name; also the names that STIX and MISP give it.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "ip" | "ipv4" | "ipv6" | "ipv4-addr" | "ipv6-addr" | "ip-src" | "ip-dst" | "ip_address" => {
                Self::Ip
            }
            "cidr" | "network" | "subnet" => Self::Cidr,
            "domain" | "domain-name" | "hostname" => Self::Domain,
            "url" | "uri" | "link" => Self::Url,
            "email" | "email-addr" | "email_address" => Self::Email,
            "file_hash" | "file" | "hash" | "md5" | "sha1" | "sha256" | "sha512" => Self::FileHash,
            _ => {
                let reason = "use ip, cidr, domain, url, email or file_hash";
                return Err(InvalidValue::new("indicator type", text, reason));
            }
        })
    }
}

impl Indicator {
    /// Makes an indicator of a given type.
    ///
    /// # Errors
    ///
    /// If the text is not of that type. A network is also taken where an address is asked for.
    pub fn new(indicator_type: IndicatorType, text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let invalid = |reason| InvalidValue::new("indicator", text, reason);
        match indicator_type {
            IndicatorType::Ip => address(text)
                .or_else(|| network(text))
                .ok_or_else(|| invalid("it is no IP address")),
            IndicatorType::Cidr => {
                network(text).ok_or_else(|| invalid("it is no network such as 10.0.0.0/8"))
            }
            IndicatorType::Domain => domain(text)
                .map(Self::Domain)
                .ok_or_else(|| invalid("it is no domain name")),
            IndicatorType::Url => url(text).ok_or_else(|| invalid("it is no URL with a scheme")),
            IndicatorType::Email => email(text).ok_or_else(|| invalid("it is no e-mail address")),
            IndicatorType::FileHash => {
                file_hash(text).ok_or_else(|| invalid("it is no MD5, SHA-1, SHA-256 or SHA-512"))
            }
        }
    }

    /// Returns the host that a URL or an e-mail address names, without port and brackets; `None` for other types.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Url(url) => host_of_url(url),
            Self::Email(address) => address.rsplit_once('@').map(|(_, host)| host),
            _ => None,
        }
    }

    /// Returns the indicator's type.
    pub const fn indicator_type(&self) -> IndicatorType {
        match self {
            Self::Ip(_) => IndicatorType::Ip,
            Self::Cidr(_) => IndicatorType::Cidr,
            Self::Domain(_) => IndicatorType::Domain,
            Self::Url(_) => IndicatorType::Url,
            Self::Email(_) => IndicatorType::Email,
            Self::FileHash(_) => IndicatorType::FileHash,
        }
    }
}

impl From<IpAddr> for Indicator {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }
}

impl From<IpNet> for Indicator {
    /// Takes the network that the address is in.
    fn from(network: IpNet) -> Self {
        Self::Cidr(canonical_network(network))
    }
}

impl FromStr for Indicator {
    type Err = InvalidValue;

    /// Tells the type by the text.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let trimmed = text.trim();
        [address, network, url, email, file_hash]
            .into_iter()
            .find_map(|read| read(trimmed))
            .or_else(|| domain(trimmed).map(Self::Domain))
            .ok_or_else(|| {
                let reason = "it is no address, network, domain, URL, e-mail address or file hash";
                InvalidValue::new("indicator", text, reason)
            })
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Cidr(network) => network.fmt(f),
            Self::Domain(text) | Self::Url(text) | Self::Email(text) | Self::FileHash(text) => {
                f.write_str(text)
            }
        }
    }
}

fn address(text: &str) -> Option<Indicator> {
    let address: IpAddr = text.parse().ok()?;
    Some(Indicator::Ip(address.to_canonical()))
}

fn network(text: &str) -> Option<Indicator> {
    text.parse::<IpNet>()
        .ok()
        .map(|network| Indicator::Cidr(canonical_network(network)))
}

/// Returns the network that an address is in. A part of `::ffff:0:0/96` is a network of IPv4.
fn canonical_network(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let network = network.trunc();
    let v4 = match (
        network.addr().to_canonical(),
        network.prefix_len().checked_sub(MAPPED),
    ) {
        (IpAddr::V4(address), Some(length)) if network.addr().is_ipv6() => {
            IpNet::new(address.into(), length).ok()
        }
        _ => None,
    };
    v4.unwrap_or(network)
}

fn domain(text: &str) -> Option<String> {
    let name = canonical_domain(text)?;
    let is_number = name.rsplit('.').next()?.bytes().all(|byte| byte.is_ascii_digit());
    (has_labels(&name) && !is_number).then(|| name.into_owned())
}

fn url(text: &str) -> Option<Indicator> {
    let (scheme, rest) = text.split_once("://")?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && !text.contains(char::is_whitespace);
    valid.then(|| Indicator::Url(canonical_url(text).into_owned()))
}

fn email(text: &str) -> Option<Indicator> {
    let (local, host) = text.rsplit_once('@')?;
    let valid = !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || c == '/');
    let host = domain(host).filter(|_| valid)?;
    Some(Indicator::Email(format!("{}@{host}", local.to_lowercase())))
}

fn file_hash(text: &str) -> Option<Indicator> {
    let valid = matches!(text.len(), 32 | 40 | 64 | 128) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| Indicator::FileHash(text.to_ascii_lowercase()))
}

/// Holds one piece of threat intelligence: an indicator and what a source says of it.
///
/// ```
/// use logstore::ThreatIntel;
///
/// let intel = ThreatIntel::new("203.0.113.9".parse()?, "scanner", "ipsum").with_confidence(0.8)?;
/// assert!(ThreatIntel::new("203.0.113.9".parse()?, "botnet", "ipsum").id == intel.id);
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
#[non_exhaustive]
pub struct ThreatIntel {
    /// Names the piece. The same indicator from the same source has the same id, so that a newer report replaces an
    /// older one.
    pub id: String,
    /// Holds the indicator to look for.
    pub indicator: Indicator,
    /// Names the threat that it is a sign of, such as `botnet`.
    pub threat_type: String,
    /// Says how sure its source is, from 0 to 1.
    pub confidence: f64,
    /// Names the source that says so.
    pub source: String,
    /// Holds anything else that is known.
    pub metadata: Map<String, Value>,
    /// Holds the time when it was reported, in UTC, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// Holds the time from which on it is no longer believed; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

impl ThreatIntel {
    /// Makes what `source` says now of an indicator, with a confidence of 0.5, without expiry.
    pub fn new(indicator: Indicator, threat_type: impl Into<String>, source: impl Into<String>) -> Self {
        let source = source.into();
        Self {
            id: intel_id(&indicator, &source),
            indicator,
            threat_type: threat_type.into(),
            confidence: 0.5,
            source,
            metadata: Map::new(),
            created_at: to_micros(super::time::now()),
            expires_at: None,
        }
    }

    /// Sets how sure its source is, from 0 to 1.
    ///
    /// # Errors
    ///
    /// If the confidence is not in that range.
    pub fn with_confidence(self, confidence: f64) -> Result<Self, InvalidValue> {
        let confidence = checked_confidence(confidence)?;
        Ok(Self { confidence, ..self })
    }

    /// Sets from when on it is no longer believed.
    #[must_use]
    pub fn valid_until(self, time: DateTime<Utc>) -> Self {
        Self {
            expires_at: Some(to_micros(time)),
            ..self
        }
    }

    /// Sets when it was reported.
    #[must_use]
    pub fn with_created_at(self, time: DateTime<Utc>) -> Self {
        Self {
            created_at: to_micros(time),
            ..self
        }
    }

    /// Adds to the metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Replaces the id.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..self
        }
    }

    /// Returns whether logs must be looked at again because of this piece, which replaces another one.
    pub(crate) fn adds_to(&self, known: &Self) -> bool {
        let had_expired = known.expires_at.is_some_and(|expiry| expiry <= self.created_at);
        let was_benign = known.threat_type == BENIGN && self.threat_type != BENIGN;
        had_expired || was_benign || known.indicator != self.indicator
    }

    /// Checks that it can be stored.
    ///
    /// # Errors
    ///
    /// If `metadata` is nested too deeply: more than 100 levels.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        check_nesting("metadata of threat intelligence", self.metadata.values())
    }
}

/// Makes a name-based UUID (RFC 9562, version 5), as STIX gives its cyber-observable objects.
fn intel_id(indicator: &Indicator, source: &str) -> String {
    let name = format!("{}\n{indicator}\n{source}", indicator.indicator_type());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

pub(crate) fn checked_confidence(confidence: f64) -> Result<f64, InvalidValue> {
    if (0.0..=1.0).contains(&confidence) {
        Ok(confidence)
    } else {
        Err(InvalidValue::new(
            "confidence",
            &confidence.to_string(),
            "use a number from 0 to 1",
        ))
    }
}

/// Holds [`ThreatIntel`] as it is written.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    indicator_type: Option<String>,
    indicator_value: String,
    #[serde(default)]
    threat_type: String,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(default)]
    source: String,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    created_at: Option<DateTime<Utc>>,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<Record> for ThreatIntel {
    type Error = InvalidValue;

    fn try_from(record: Record) -> Result<Self, InvalidValue> {
        let indicator = match &record.indicator_type {
            Some(name) => Indicator::new(name.parse()?, &record.indicator_value)?,
            None => record.indicator_value.parse()?,
        };
        let mut intel = Self::new(indicator, record.threat_type, record.source);
        if let Some(confidence) = record.confidence {
            intel.confidence = checked_confidence(confidence)?;
        }
        intel.id = record.id.unwrap_or(intel.id);
        intel.metadata = record.metadata.unwrap_or_default();
        intel.created_at = record.created_at.map_or(intel.created_at, to_micros);
        intel.expires_at = record.expires_at.map(to_micros);
        Ok(intel)
    }
}

impl From<ThreatIntel> for Record {
    fn from(intel: ThreatIntel) -> Self {
        Self {
            id: Some(intel.id),
            indicator_type: Some(intel.indicator.indicator_type().to_string()),
            indicator_value: intel.indicator.to_string(),
            threat_type: intel.threat_type,
            confidence: Some(intel.confidence),
            source: intel.source,
            metadata: Some(intel.metadata),
            created_at: Some(intel.created_at),
            expires_at: intel.expires_at,
        }
    }
}

/// Says which threat intelligence is wanted. All conditions must hold; it comes in the order of its ids.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct IntelQuery {
    /// Matches indicators of this type.
    pub indicator_type: Option<IndicatorType>,
    /// Matches exactly these indicators; none matches all.
    pub indicators: Vec<Indicator>,
    /// Matches what this source says.
    pub source: Option<String>,
    /// Matches intelligence whose source is at least this sure.
    pub min_confidence: Option<f64>,
    /// Matches intelligence that is believed at this time.
    pub valid_at: Option<DateTime<Utc>>,
    /// Limits the number of pieces; `None` means all.
    pub limit: Option<u64>,
}

impl IntelQuery {
    /// Wants all of it, expired or not.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants indicators of this type.
    #[must_use]
    pub fn indicator_type(self, indicator_type: IndicatorType) -> Self {
        Self {
            indicator_type: Some(indicator_type),
            ..self
        }
    }

    /// Wants exactly this indicator, and others that are wanted already.
    #[must_use]
    pub fn indicator(mut self, indicator: Indicator) -> Self {
        self.indicators.push(indicator);
        self
    }

    /// Wants what this source says.
    #[must_use]
    pub fn source(self, source: impl Into<String>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// Wants intelligence whose source is at least this sure.
    #[must_use]
    pub fn min_confidence(self, confidence: f64) -> Self {
        Self {
            min_confidence: Some(confidence),
            ..self
        }
    }

    /// Wants intelligence that is believed at this time.
    #[must_use]
    pub fn valid_at(self, time: DateTime<Utc>) -> Self {
        Self {
            valid_at: Some(time),
            ..self
        }
    }

    /// Wants at most `limit` pieces.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Returns whether a piece of intelligence is wanted. The limit is ignored.
    pub fn matches(&self, intel: &ThreatIntel) -> bool {
        self.indicator_type
            .is_none_or(|wanted| intel.indicator.indicator_type() == wanted)
            && (self.indicators.is_empty() || self.indicators.contains(&intel.indicator))
            && self.source.as_ref().is_none_or(|wanted| intel.source == *wanted)
            && self.min_confidence.is_none_or(|least| intel.confidence >= least)
            && self
                .valid_at
                .is_none_or(|time| intel.expires_at.is_none_or(|expiry| time < expiry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_types_apart() {
        for (text, expected) in [
            ("10.0.0.1", IndicatorType::Ip),
            ("2001:db8::1", IndicatorType::Ip),
            ("10.0.0.0/8", IndicatorType::Cidr),
            ("evil.example", IndicatorType::Domain),
            ("http://evil.example/x?y", IndicatorType::Url),
            ("a@evil.example", IndicatorType::Email),
            ("d41d8cd98f00b204e9800998ecf8427e", IndicatorType::FileHash),
        ] {
            let indicator: Indicator = text.parse().unwrap();
            assert_eq!(indicator.indicator_type(), expected, "{text}");
            assert_eq!(
                Indicator::new(expected, &indicator.to_string()).unwrap(),
                indicator
            );
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "localhost",
            "10.0.0.256",
            "10.0.0.0/33",
            "a b.example",
            "@evil.example",
            "abc123",
            "1.2.3",
        ] {
            assert!(text.parse::<Indicator>().is_err(), "{text}");
        }
    }

    #[test]
    fn confidence_stays_in_its_range() {
        let intel = || ThreatIntel::new("10.0.0.1".parse().unwrap(), "x", "y");
        for confidence in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(intel().with_confidence(confidence).is_err());
        }
        let text = r#"{"indicator_value": "10.0.0.1", "confidence": 7}"#;
        assert!(serde_json::from_str::<ThreatIntel>(text).is_err());
    }
}
