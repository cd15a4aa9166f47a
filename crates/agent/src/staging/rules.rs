//! What the site lets be moved: hosts, folders, stores, and how much.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use huisuan_api::spec::quantity;
use huisuan_model::{
    Bytes, JobSpec, ProjectId, StartOrder, TenantId,
    spec::data::{DataReference, Scheme},
};
use serde::Deserialize;

use super::store::{Store, read_stores};
use crate::policy::{Broken, Who};

/// The most bytes of one attempt, one way, where the site says nothing: 1 TiB.
const LARGEST: Bytes = Bytes(1 << 40);

/// The part `[data]` of a site's rules. The default lets HTTPS to public addresses through and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataRules {
    /// Hosts that may be called; every public one when absent.
    hosts: Option<Vec<Host>>,
    /// `HOST:PORT` of this site's own: they may have any address and speak plain HTTP.
    pub(super) private: Arc<[String]>,
    folders: Vec<FolderRule>,
    stores: BTreeMap<String, Store>,
    /// The most bytes of one attempt, each way.
    pub(super) largest: Bytes,
    /// A file with the authorities that servers' certificates are signed by; the machine's own when absent.
    pub(super) authorities: Option<PathBuf>,
}

impl Default for DataRules {
    fn default() -> Self {
        DataRules {
            hosts: None,
            private: Arc::default(),
            folders: Vec::new(),
            stores: BTreeMap::new(),
            largest: LARGEST,
            authorities: None,
        }
    }
}

/// A host, or all below a domain when it begins with `*.`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host(String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FolderRule {
    path: PathBuf,
    write: bool,
    tenants: Option<Vec<Who>>,
}

/// What the file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataFile {
    hosts: Option<Vec<String>>,
    #[serde(default)]
    private: Vec<String>,
    #[serde(default)]
    folders: Vec<FolderText>,
    stores: Option<PathBuf>,
    largest: Option<String>,
    authorities: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderText {
    path: PathBuf,
    #[serde(default)]
    write: bool,
    tenants: Option<Vec<String>>,
}

/// Which way data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

/// A place that the rules let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By HTTP, at this URL.
    Web(String),
    /// An object of a store.
    Object { store: Store, key: String },
    /// A file below a folder of the site.
    File { folder: PathBuf, path: String },
}

impl DataFile {
    /// The rules that it says.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn read(self) -> Result<DataRules, String> {
        let who = |tenants: Option<Vec<String>>| tenants.map(|list| list.into_iter().map(Who::read).collect());
        let mut folders = Vec::new();
        for FolderText { path, write, tenants } in self.folders {
            let plain = path.is_absolute() && !path.components().any(|step| step == Component::ParentDir);
            if !plain || path == Path::new("/") {
                return Err(format!("data.folders: `{}` is no absolute path below `/`", path.display()));
            }
            folders.push(FolderRule { path, write, tenants: who(tenants) });
        }
        // The longest first: the closest folder decides.
        folders.sort_by(|a, b| (b.path.as_os_str().len(), &b.path).cmp(&(a.path.as_os_str().len(), &a.path)));
        let private: Result<Vec<String>, String> = self.private.iter().map(|text| authority(text)).collect();
        let largest = self.largest.map(|text| quantity::bytes(&text).map_err(|error| format!("data.largest: {error}")));
        Ok(DataRules {
            hosts: self.hosts.map(|list| list.into_iter().map(|host| Host(host.to_ascii_lowercase())).collect()),
            private: private?.into(),
            folders,
            stores: self.stores.map(|path| read_stores(&path)).transpose()?.unwrap_or_default(),
            largest: largest.transpose()?.unwrap_or(LARGEST),
            authorities: self.authorities,
        })
    }
}

/// `HOST:PORT`; a host alone is meant with the port of HTTPS.
fn authority(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "443"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) || port.parse::<u16>().is_err() {
        return Err(format!("data.private: `{text}` is no HOST:PORT"));
    }
    Ok(format!("{}:{port}", host.to_ascii_lowercase()))
}

impl DataRules {
    /// The rule that an order's data breaks for good.
    pub(crate) fn judge(&self, order: &StartOrder) -> Result<(), Broken> {
        let spec: &JobSpec = &order.spec;
        for (way, references) in [(Way::In, &spec.inputs), (Way::Out, &spec.outputs)] {
            for reference in references {
                self.place(&reference.url_of(order.attempt), way, &order.tenant, &order.project)?;
            }
        }
        let declared =
            spec.inputs.iter().filter_map(|input| input.bytes).fold(0, |sum: u64, bytes| sum.saturating_add(bytes.0));
        let detail = || format!("asks for {declared} bytes, at most {} are allowed", self.largest.0);
        (declared <= self.largest.0).then_some(()).ok_or_else(|| Broken { rule: "data.largest", detail: detail() })
    }

    /// Where a URL leads, for who may go there.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn place(&self, url: &str, way: Way, tenant: &TenantId, project: &ProjectId) -> Result<Place, Broken> {
        let broken = |rule, detail| Err(Broken { rule, detail });
        // The server has checked it, and may be in wrong hands.
        let reference =
            DataReference { url: url.to_owned(), path: "x".to_owned(), bytes: None, sha256: None, at: None };
        let spec = JobSpec { inputs: vec![reference], ..JobSpec::command("x", &["x"]) };
        let parts = Scheme::of(url).filter(|_| spec.validate().is_ok());
        let Some((scheme, rest)) = parts else { return broken("data.hosts", format!("`{url}` is no URL of data")) };
        let may = |who: &[Who]| who.iter().any(|who| who.is(tenant.as_str(), project.as_str()));
        match scheme {
            Scheme::Https | Scheme::Http => self.web(url).map(Place::Web),
            Scheme::S3 => {
                let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
                match self.stores.get(name) {
                    Some(store) if may(&store.tenants) && (way == Way::In || store.write) => {
                        Ok(Place::Object { store: store.clone(), key: key.to_owned() })
                    }
                    _ => broken(
                        "data.stores",
                        format!("store `{name}` is not there for `{tenant}/{project}`{}", way.word()),
                    ),
                }
            }
            Scheme::File => {
                let rule = self.folders.iter().find_map(|rule| {
                    let below = Path::new(rest).strip_prefix(&rule.path).ok()?.to_str()?;
                    let open = rule.tenants.as_deref().is_none_or(may) && (way == Way::In || rule.write);
                    Some((rule, below.to_owned())).filter(|(_, below)| open && !below.is_empty())
                });
                match rule {
                    Some((rule, path)) => Ok(Place::File { folder: rule.path.clone(), path }),
                    None => broken(
                        "data.folders",
                        format!("`{rest}` is in no folder for `{tenant}/{project}`{}", way.word()),
                    ),
                }
            }
        }
    }

    /// A URL of a host that may be called, at first or after a redirect.
    pub(super) fn web(&self, url: &str) -> Result<String, Broken> {
        let broken = |detail| Err(Broken { rule: "data.hosts", detail });
        let Some((scheme @ (Scheme::Https | Scheme::Http), rest)) = Scheme::of(url) else {
            return broken(format!("`{url}` is no URL of a web server"));
        };
        let name = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let (host, port) = name.rsplit_once(':').unwrap_or((&name, if scheme == Scheme::Https { "443" } else { "80" }));
        if name.contains('@') {
            return broken("a URL with a user in it".to_owned());
        }
        let own = self.private.iter().any(|own| *own == format!("{host}:{port}"));
        if scheme == Scheme::Http && !own {
            return broken(format!("plain HTTP to `{name}`: only hosts that the site names as `private` speak it"));
        }
        match &self.hosts {
            Some(hosts) if !own && !hosts.iter().any(|pattern| pattern.meets(host)) => {
                broken(format!("host `{host}` is not allowed here"))
            }
            _ => Ok(url.to_owned()),
        }
    }
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::In => "",
            Way::Out => " to write to",
        }
    }
}

impl Host {
    fn meets(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(domain) => domain.starts_with('.') && host.ends_with(domain) && host.len() > domain.len(),
            None => self.0 == host,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn rules(text: &str) -> Result<DataRules, String> {
        toml::from_str::<DataFile>(text).map_err(|error| error.to_string())?.read()
    }

    /// The rule that a URL breaks; empty when none.
    #[track_caller]
    fn check(rules: &DataRules, url: &str, way: Way, expected: &str) {
        let (tenant, project) = ("lab".parse().expect("a name"), "vision".parse().expect("a name"));
        let place = rules.place(url, way, &tenant, &project);
        assert_eq!(place.as_ref().err().map_or("", |broken| broken.rule), expected, "{url}: {place:?}");
    }

    #[test]
    fn without_rules_only_https_goes_through() {
        let rules = DataRules::default();
        check(&rules, "https://data.example.org/f", Way::In, "");
        check(&rules, "https://data.example.org/f", Way::Out, "");
        check(&rules, "http://data.example.org/f", Way::In, "data.hosts");
        check(&rules, "file:///etc/passwd", Way::In, "data.folders");
        check(&rules, "s3://any/f", Way::In, "data.stores");
        check(&rules, "gopher://h/f", Way::In, "data.hosts");
    }

    #[test]
    fn hosts_are_those_of_the_site() {
        let rules = rules("hosts = ['data.example.org', '*.edu.cn']\nprivate = ['store.lan:9000']").expect("rules");
        check(&rules, "https://data.example.org/f", Way::In, "");
        check(&rules, "https://DATA.example.org:8443/f", Way::In, "");
        check(&rules, "https://a.b.edu.cn/f", Way::In, "");
        for other in ["https://edu.cn/f", "https://xedu.cn/f", "https://data.example.org.evil.net/f"] {
            check(&rules, other, Way::In, "data.hosts");
        }
        check(&rules, "http://store.lan:9000/f", Way::In, "");
        check(&rules, "https://store.lan:9000/f", Way::In, "");
        check(&rules, "http://store.lan/f", Way::In, "data.hosts");
        assert!(rules.web("https://data.example.org@evil.net/f").is_err());
        assert!(rules.web("file:///etc/passwd").is_err());
    }

    #[test]
    fn folders_are_for_who_is_named_and_written_to_where_it_is_said() {
        let text = "[[folders]]\npath = '/data'\n[[folders]]\npath = '/data/out'\nwrite = true\ntenants = ['lab/vision']\n\
                    [[folders]]\npath = '/closed'\ntenants = ['city', 'lab/other']";
        let rules = rules(text).expect("rules");
        check(&rules, "file:///data/a/b", Way::In, "");
        check(&rules, "file:///data/a/b", Way::Out, "data.folders");
        check(&rules, "file:///data/out/b", Way::Out, "");
        check(&rules, "file:///data/out", Way::Out, "data.folders");
        check(&rules, "file:///database/x", Way::In, "data.folders");
        check(&rules, "file:///closed/x", Way::In, "data.folders");
        check(&rules, "file:///data/../etc/passwd", Way::In, "data.hosts");
    }

    #[test]
    fn stores_are_for_who_is_named_and_their_file_is_the_agents_alone() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let path = scratch.path().join("stores.toml");
        let text = "[results]\nendpoint = 'https://s3.example.org'\nregion = 'x'\naccess_key = 'AK'\nsecret_key = 'very secret'\n\
                    tenants = ['lab']\n[other]\nendpoint = 'https://s3.example.org'\nregion = 'x'\naccess_key = 'AK'\n\
                    secret_key = 's'\nwrite = true\ntenants = ['lab/vision']";
        fs::write(&path, text).expect("written");
        let file = format!("stores = '{}'", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(rules(&file).expect_err("open to others").contains("0600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let rules = rules(&file).expect("rules");
        check(&rules, "s3://results/a/b", Way::In, "");
        check(&rules, "s3://results/a/b", Way::Out, "data.stores");
        check(&rules, "s3://other/a/b", Way::Out, "");
        check(&rules, "s3://third/a/b", Way::In, "data.stores");
        assert!(!format!("{rules:?}").contains("very secret"));
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        for text in [
            "host = []",
            "private = ['a b']",
            "private = ['h:99999']",
            "largest = 'much'",
            "stores = '/nowhere/at/all'",
            "[[folders]]\npath = 'data'",
            "[[folders]]\npath = '/'",
            "[[folders]]\npath = '/data/../etc'",
        ] {
            assert!(rules(text).is_err(), "{text}");
        }
    }
}
