//! Object stores of the site: where they are, and the keys to them. Jobs name a store and never see its key.

use std::{collections::BTreeMap, fmt, fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use huisuan_model::spec::data::is_store;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde::Deserialize;

use crate::policy::Who;

/// How long a signed URL is good: the request is begun within it.
const SIGNED_FOR: Duration = Duration::from_secs(900);
/// The header with an object's SHA-256, which the store compares with what it got.
const CHECKSUM: &str = "x-amz-checksum-sha256";
/// The header that says which checksum that is.
const ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";

/// One store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Store {
    /// What jobs call it.
    pub(super) name: String,
    endpoint: String,
    region: String,
    bucket: String,
    /// Whether the bucket is part of the host's name.
    virtual_host: bool,
    access_key: String,
    secret_key: Secret,
    /// Who may use it.
    pub(super) tenants: Vec<Who>,
    /// Whether they may write to it.
    pub(super) write: bool,
}

/// Headers that are signed with a URL, so that the request needs them.
type Signed = [(&'static str, String); 2];

/// A key that no text shows.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreText {
    endpoint: String,
    region: String,
    /// The store's name when absent.
    bucket: Option<String>,
    #[serde(default)]
    virtual_host: bool,
    access_key: String,
    secret_key: String,
    tenants: Vec<String>,
    #[serde(default)]
    write: bool,
}

/// Reads a file of stores, which only the agent's user may read.
pub(super) fn read_stores(path: &Path) -> Result<BTreeMap<String, Store>, String> {
    let failed = |what: &str| format!("data.stores: `{}` {what}", path.display());
    let metadata = fs::metadata(path).map_err(|error| failed(&format!("cannot be read: {error}")))?;
    if metadata.mode() & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(failed("is open to others; hint: make it the agent's own, with mode 0600"));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(&format!("cannot be read: {error}")))?;
    // The parser would repeat the line that it does not understand, and a key may be in it.
    let stores: BTreeMap<String, StoreText> =
        toml::from_str(&text).map_err(|error| failed(&format!("is not understood: {}", error.message())))?;
    stores.into_iter().map(|(name, store)| read_store(name, store).map_err(|what| failed(&what))).collect()
}

fn read_store(name: String, text: StoreText) -> Result<(String, Store), String> {
    let endpoint = text.endpoint.trim_end_matches('/').to_owned();
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://")).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(format!("store `{name}`: endpoint `{endpoint}` is no http(s)://HOST[:PORT]"));
    }
    if !is_store(&name) || !is_store(text.bucket.as_ref().unwrap_or(&name)) {
        return Err(format!("store `{name}`: names of stores and buckets have lower-case letters, digits, - and ."));
    }
    let store = Store {
        bucket: text.bucket.unwrap_or_else(|| name.clone()),
        name: name.clone(),
        endpoint,
        virtual_host: text.virtual_host,
        region: text.region,
        access_key: text.access_key,
        secret_key: Secret(text.secret_key),
        tenants: text.tenants.into_iter().map(Who::read).collect(),
        write: text.write,
    };
    Ok((name, store))
}

impl Store {
    /// A signed URL to read an object at.
    pub(super) fn get(&self, key: &str) -> Result<String, String> {
        let (bucket, credentials) = self.bucket()?;
        Ok(bucket.get_object(Some(&credentials), key).sign(SIGNED_FOR).to_string())
    }

    /// A signed URL to write an object with this SHA-256 to, and the headers that are signed with it.
    pub(super) fn put(&self, key: &str, sha256: &[u8; 32]) -> Result<(String, Signed), String> {
        let (bucket, credentials) = self.bucket()?;
        let digest = BASE64_STANDARD.encode(sha256);
        let mut action = bucket.put_object(Some(&credentials), key);
        let headers = [(CHECKSUM, digest), (ALGORITHM, "SHA256".to_owned())];
        for (name, value) in &headers {
            action.headers_mut().insert(*name, value.clone());
        }
        Ok((action.sign(SIGNED_FOR).to_string(), headers))
    }

    fn bucket(&self) -> Result<(Bucket, Credentials), String> {
        let failed = |what: String| format!("store `{}`: its endpoint cannot be used: {what}", self.name);
        let style = if self.virtual_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        // The type of URLs is that of the library alone.
        let endpoint = self.endpoint.parse().map_err(|error| failed(format!("{error}")))?;
        let bucket = Bucket::new(endpoint, style, self.bucket.clone(), self.region.clone());
        let credentials = Credentials::new(self.access_key.clone(), self.secret_key.0.clone());
        Ok((bucket.map_err(|error| failed(error.to_string()))?, credentials))
    }

    /// `HOST:PORT` of it.
    pub(super) fn authority(&self) -> String {
        let (scheme, host) = self.endpoint.split_once("://").unwrap_or(("https", &self.endpoint));
        let port = if scheme == "https" { 443 } else { 80 };
        let host = match self.virtual_host {
            true => format!("{}.{}", self.bucket, host.to_ascii_lowercase()),
            false => host.to_ascii_lowercase(),
        };
        if host.contains(':') { host } else { format!("{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_signed_for_one_object_and_hold_no_secret() {
        let text = StoreText {
            endpoint: "https://s3.example.org/".into(),
            region: "here".into(),
            bucket: None,
            virtual_host: false,
            access_key: "AK".into(),
            secret_key: "very secret".into(),
            tenants: vec![],
            write: false,
        };
        let (_, store) = read_store("set".into(), text).expect("a store");
        let url = store.get("a/b.csv").expect("signed");
        assert!(url.starts_with("https://s3.example.org/set/a/b.csv?") && url.contains("X-Amz-Signature="), "{url}");
        assert!(!url.contains("secret"), "{url}");
        let (url, [(name, digest), _]) = store.put("a", &[0; 32]).expect("signed");
        assert!(url.contains(name), "the digest is part of what is signed: {url}");
        assert_eq!(digest.len(), 44);
        assert_eq!(store.authority(), "s3.example.org:443");
        let other = Store { virtual_host: true, endpoint: "http://oss.lan:9000".into(), ..store };
        assert_eq!(other.authority(), "set.oss.lan:9000");
        assert!(other.get("a").expect("signed").starts_with("http://set.oss.lan:9000/a?"));
    }
}
