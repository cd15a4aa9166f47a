//! Requests over HTTP. Redirects are followed by hand, so that each place is looked at as the first one was.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ureq::{
    Agent, Body, SendBody,
    http::{Request, Response, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{resolver::DefaultResolver, transport::DefaultConnector},
};

use super::{fault::Fault, guard::Guard, rules::DataRules};

/// How long one step may take without a byte: resolving, connecting, an answer, the next piece.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most redirects of one request.
const REDIRECTS_MAX: u32 = 5;
/// So much of what a server says with an error is read.
const SAID_MAX: u64 = 4096;
/// Where systems keep the authorities that certificates are signed by.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What is needed to make connections, read once.
#[derive(Debug)]
pub(super) struct Web {
    pub(super) rules: Arc<DataRules>,
    /// Read when they are needed first: most agents bring nothing.
    roots: OnceLock<Result<Option<RootCerts>, String>>,
}

/// One transfer's connections: dropped with it, and interrupted with it.
pub(super) struct Line<'a> {
    web: &'a Web,
    pub(super) agent: Agent,
    /// Where redirects may lead: nowhere, for what is signed with the site's own key.
    follows: bool,
}

impl Web {
    pub(super) fn new(rules: Arc<DataRules>) -> Web {
        Web { rules, roots: OnceLock::new() }
    }

    /// A line to whatever the rules let through.
    pub(super) fn open(&self) -> Result<Line<'_>, Fault> {
        self.line(Arc::clone(&self.rules.private), true)
    }

    /// A line to one host that the site itself has named.
    pub(super) fn open_to(&self, authority: String) -> Result<Line<'_>, Fault> {
        self.line([authority].into(), false)
    }

    fn line(&self, trusted: Arc<[String]>, follows: bool) -> Result<Line<'_>, Fault> {
        let roots = self.roots.get_or_init(|| read_authorities(self.rules.authorities.clone()));
        let roots = roots.clone().map_err(Fault::Lasting)?;
        let tls = TlsConfig::builder();
        let tls = match roots {
            Some(roots) => tls.root_certs(roots).build(),
            // No authority is known: HTTPS fails with that reason, HTTP to the site's own hosts needs none.
            None => tls.root_certs(RootCerts::from(Vec::<Certificate<'static>>::new())).build(),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A proxy would resolve names by itself, and the guard would see none.
            .proxy(None)
            .tls_config(tls)
            .accept_encoding("identity")
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(4 * PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .timeout_per_write(Some(PATIENCE))
            .user_agent(concat!("huisuan/", env!("CARGO_PKG_VERSION")))
            .build();
        let guard = Guard { trusted, names: DefaultResolver::default() };
        Ok(Line { web: self, agent: Agent::with_parts(config, DefaultConnector::default(), guard), follows })
    }
}

impl Line<'_> {
    /// Asks for a URL with more headers; the answer is good, or the fault says why not. `name` is what people call it.
    pub(super) fn get(&self, url: &str, name: &str, headers: &[(&str, String)]) -> Result<Response<Body>, Fault> {
        let mut request = |url: &str| {
            let request = headers.iter().fold(Request::get(url), |request, (name, value)| request.header(*name, value));
            let request =
                request.body(()).map_err(|error| Fault::Lasting(format!("`{name}` cannot be asked for: {error}")))?;
            self.agent.run(request).map_err(|error| broken(name, error))
        };
        self.follow(url, name, &mut request)
    }

    /// Sends `length` bytes; `open` gives them from their beginning, for a redirect asks for them again.
    pub(super) fn put(
        &self,
        url: &str,
        name: &str,
        headers: &[(&str, String)],
        length: u64,
        mut open: impl FnMut() -> Result<Box<dyn Read>, Fault>,
    ) -> Result<(), Fault> {
        let mut request = |url: &str| {
            let mut body = open()?;
            let request = headers.iter().fold(Request::put(url), |request, (name, value)| request.header(*name, value));
            let request = request.header(header::CONTENT_LENGTH, length).body(SendBody::from_reader(&mut body));
            let request = request.map_err(|error| Fault::Lasting(format!("`{name}` cannot be written to: {error}")))?;
            self.agent.run(request).map_err(|error| broken(name, error))
        };
        self.follow(url, name, &mut request).map(|_| ())
    }

    fn follow(
        &self,
        url: &str,
        name: &str,
        request: &mut dyn FnMut(&str) -> Result<Response<Body>, Fault>,
    ) -> Result<Response<Body>, Fault> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let response = request(&url)?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return judged(name, response);
            }
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let next = beside(&url, to);
            if !self.follows {
                return Err(Fault::Lasting(format!("`{name}` leads elsewhere; hint: mind the store's region")));
            }
            self.web.rules.web(&next).map_err(|broken| Fault::Lasting(format!("`{name}` leads to: {broken}")))?;
            url = next;
        }
        Err(Fault::Lasting(format!("`{name}` leads elsewhere more than {REDIRECTS_MAX} times")))
    }
}

/// A URL without its query, which may hold what is nobody's to read.
pub(super) fn plain(url: &str) -> String {
    url.split('?').next().unwrap_or_default().chars().take(160).collect()
}

/// Where `Location` leads from a URL: a URL, or a path at the same host.
fn beside(url: &str, to: &str) -> String {
    if to.contains("://") {
        return to.to_owned();
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match to.strip_prefix("//") {
        Some(other) => format!("{scheme}://{other}"),
        None => format!("{scheme}://{host}/{}", to.trim_start_matches('/')),
    }
}

/// What an answer says: good, worth another try, or final.
fn judged(name: &str, response: Response<Body>) -> Result<Response<Body>, Fault> {
    let status = response.status().as_u16();
    if matches!(status, 200 | 201 | 204 | 206) {
        return Ok(response);
    }
    let mut said = Vec::new();
    // What cannot be read of an error says nothing.
    let _ = response.into_body().into_reader().take(SAID_MAX).read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    // Object stores name their errors; of other servers' pages nothing is repeated.
    let code = said.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    let good = |code: &&str| !code.is_empty() && code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = Some(code).filter(good).map_or_else(String::new, |code| format!(" ({code})"));
    let what = format!("`{name}` answered {status}{code}");
    Err(match status {
        408 | 416 | 425 | 429 | 500..=599 => Fault::Passing(what),
        401 | 403 => Fault::Lasting(format!("{what}; hint: it is not open to this centre")),
        404 | 410 => Fault::Lasting(format!("{what}; hint: it is not there")),
        _ => Fault::Lasting(what),
    })
}

/// Why there was no answer. What the guard refused will be refused again; all else may be of the moment.
fn broken(name: &str, error: ureq::Error) -> Fault {
    match error {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Fault::Lasting(format!("`{name}`: {error}; hint: the site can name the host under `data.private`"))
        }
        ureq::Error::Rustls(error) => Fault::Lasting(format!("`{name}`: TLS: {error}")),
        // What TLS does not believe comes so, too.
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Fault::Lasting(format!(
            "`{name}`: {error}; hint: `data.authorities` of the site names who signs certificates"
        )),
        ureq::Error::BadUri(what) => Fault::Lasting(format!("`{name}`: {what}")),
        error => Fault::Passing(format!("`{name}`: {error}")),
    }
}

/// Reads the authorities of a file that the site names, or of the machine.
fn read_authorities(named: Option<PathBuf>) -> Result<Option<RootCerts>, String> {
    let known = || AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
    let Some(path) = named.or_else(known) else { return Ok(None) };
    let failed = |what: String| format!("authorities `{}` cannot be read: {what}", path.display());
    let pem = fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let certificates: Result<Vec<Certificate<'static>>, _> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate.to_owned())),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect();
    let certificates = certificates.map_err(|error| failed(error.to_string()))?;
    Ok(Some(RootCerts::from(certificates)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        for (url, to, expected) in [
            ("https://a/b?c", "https://d/e", "https://d/e"),
            ("https://a:1/b?c", "/e", "https://a:1/e"),
            ("https://a/b/c", "e", "https://a/e"),
            ("https://a/b", "//evil/e", "https://evil/e"),
            ("http://a/b", "", "http://a/"),
        ] {
            assert_eq!(beside(url, to), expected, "{url} to {to}");
        }
        assert_eq!(plain("https://a/b?secret=1"), "https://a/b");
    }
}
