//! Options for data in S3, or in a service with the same interface.

use serde::{Deserialize, Serialize};

use crate::models::Secret;
use crate::storage::duckdb::sql::statement::literal;

/// Says how to reach data in S3, or in a service with the same interface.
///
/// An option that is not set has the engine's default.
///
/// ```
/// use logstore::DuckDbStore;
/// use logstore::duckdb::S3Options;
///
/// let s3 = S3Options {
///     endpoint: Some("http://127.0.0.1:9000".into()),
///     access_key_id: Some("collector".into()),
///     secret_access_key: Some("not to be shown".into()),
///     ..S3Options::from_environment()
/// };
/// let options = DuckDbStore::options().s3(s3);
/// assert!(!format!("{options:?}").contains("not to be shown"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Options {
    /// Holds the address of the service, such as `https://s3.example.org:9000`; Amazon's if there is none.
    pub endpoint: Option<String>,
    /// Names the region, such as `eu-central-1`.
    pub region: Option<String>,
    /// Holds the name of the key.
    pub access_key_id: Option<String>,
    /// Holds the key.
    pub secret_access_key: Option<Secret>,
    /// Holds the token of a temporary key.
    pub session_token: Option<Secret>,
}

impl S3Options {
    /// Returns the options that the environment variables of the AWS tools hold.
    ///
    /// These are `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_REGION` or `AWS_DEFAULT_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub fn from_environment() -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok());
        Self {
            endpoint: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            access_key_id: first(&["AWS_ACCESS_KEY_ID"]),
            secret_access_key: first(&["AWS_SECRET_ACCESS_KEY"]).map(Secret::from),
            session_token: first(&["AWS_SESSION_TOKEN"]).map(Secret::from),
        }
    }

    /// Returns these options; the other's fill in those that are not set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            endpoint: self.endpoint.or(other.endpoint),
            region: self.region.or(other.region),
            access_key_id: self.access_key_id.or(other.access_key_id),
            secret_access_key: self.secret_access_key.or(other.secret_access_key),
            session_token: self.session_token.or(other.session_token),
        }
    }

    /// Returns SQL that lets the engine use these options.
    pub(crate) fn secret(&self) -> String {
        let mut sql = "CREATE SECRET s3 (TYPE s3".to_owned();
        let mut set = |name: &str, value: &str| sql.push_str(&format!(", {name} {}", literal(value)));
        if let Some(endpoint) = &self.endpoint {
            let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
            set("ENDPOINT", host.trim_end_matches('/'));
            set("USE_SSL", if scheme == "http" { "false" } else { "true" });
            // Services other than Amazon's have no host name for each bucket.
            set("URL_STYLE", "path");
        }
        let plain = [("REGION", &self.region), ("KEY_ID", &self.access_key_id)];
        for (name, value) in plain {
            if let Some(value) = value {
                set(name, value);
            }
        }
        let hidden = [
            ("SECRET", &self.secret_access_key),
            ("SESSION_TOKEN", &self.session_token),
        ];
        for (name, value) in hidden {
            if let Some(value) = value {
                set(name, value.reveal());
            }
        }
        sql + ")"
    }
}
