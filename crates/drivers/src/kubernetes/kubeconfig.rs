//! Where the cluster is and how to be let in: a kubeconfig, or the service account of the agent's own pod.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::config::KubernetesConfig;

/// Where Kubernetes puts the credentials of a pod.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Public authorities of a Debian, Ubuntu or Alpine system; read where the kubeconfig names none.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where a cluster is and how to be let in.
pub(super) struct Access {
    /// `https://HOST:PORT`, without a slash at its end.
    pub(super) server: String,
    pub(super) tls: TlsConfig,
    pub(super) token: Token,
}

/// The bearer token of each request.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A client certificate says who we are, or nobody asks.
    None,
    /// It stays.
    Fixed(String),
    /// It is changed in this file every hour or so.
    File(PathBuf),
}

impl Access {
    /// What the configuration says; the error is a sentence for people.
    pub(super) fn of(config: &KubernetesConfig) -> Result<Access, String> {
        match &config.kubeconfig {
            Some(path) => {
                let wrong = |detail: String| format!("kubeconfig `{}`: {detail}", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
                let folder = path.parent().unwrap_or(Path::new(""));
                from_kubeconfig(&text, config.context.as_deref(), folder).map_err(wrong)
            }
            None => in_cluster(),
        }
    }
}

fn in_cluster() -> Result<Access, String> {
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| {
            format!("no kubeconfig is named and {name} is not set, so this is no pod; hint: set `kubeconfig`")
        })
    };
    let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let folder = Path::new(SERVICE_ACCOUNT);
    let authority = folder.join("ca.crt");
    let pem = std::fs::read(&authority).map_err(|error| format!("`{}`: {error}", authority.display()))?;
    let tls = TlsConfig::builder().root_certs(roots(&pem)?).build();
    Ok(Access { server: format!("https://{host}:{port}"), tls, token: Token::File(folder.join("token")) })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
    contexts: Vec<NamedContext>,
    current_context: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
    username: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

fn from_kubeconfig(text: &str, context: Option<&str>, folder: &Path) -> Result<Access, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let name = context.unwrap_or(&file.current_context);
    let missing = |kind: &str, name: &str| format!("it has no {kind} `{name}`");
    let context = file.contexts.iter().find(|context| context.name == name).ok_or_else(|| missing("context", name))?;
    let Context { cluster, user } = &context.context;
    let found = file.clusters.iter().find(|one| one.name == *cluster).ok_or_else(|| missing("cluster", cluster))?;
    let found_user = file.users.iter().find(|one| one.name == *user).ok_or_else(|| missing("user", user))?;
    let (cluster, user) = (&found.cluster, &found_user.user);
    if user.exec.is_some() || user.auth_provider.is_some() || user.username.is_some() {
        return Err(format!(
            "user `{}` logs in by a program or a password; hint: make a service account and use its token",
            found_user.name
        ));
    }
    let server = cluster.server.trim_end_matches('/');
    if !(server.starts_with("https://") || server.starts_with("http://")) {
        return Err(format!("server `{server}` is no address; hint: https://HOST:PORT"));
    }
    let mut tls = TlsConfig::builder().disable_verification(cluster.insecure_skip_tls_verify);
    let authority =
        part(cluster.certificate_authority_data.as_deref(), cluster.certificate_authority.as_deref(), folder)?;
    // Without TLS or without verification nobody looks at authorities.
    if server.starts_with("https://") && !cluster.insecure_skip_tls_verify {
        let pem = match authority {
            Some(pem) => pem,
            None => std::fs::read(SYSTEM_AUTHORITIES)
                .map_err(|error| format!("it names no authority and `{SYSTEM_AUTHORITIES}` cannot be read: {error}"))?,
        };
        tls = tls.root_certs(roots(&pem)?);
    }
    let certificate = part(user.client_certificate_data.as_deref(), user.client_certificate.as_deref(), folder)?;
    let key = part(user.client_key_data.as_deref(), user.client_key.as_deref(), folder)?;
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let key = PrivateKey::from_pem(&key).map_err(|error| format!("client key: {error}"))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(&certificate)?, key)));
    }
    let token = match (&user.token, &user.token_file) {
        (Some(token), _) if !token.bytes().all(|b| b.is_ascii_graphic()) => {
            return Err("its token has characters that no token has".to_owned());
        }
        (Some(token), _) => Token::Fixed(token.clone()),
        (None, Some(path)) => Token::File(folder.join(path)),
        (None, None) => Token::None,
    };
    Ok(Access { server: server.to_owned(), tls: tls.build(), token })
}

/// What is written in the file itself in base64, or else in another file beside it.
fn part(data: Option<&str>, path: Option<&Path>, folder: &Path) -> Result<Option<Vec<u8>>, String> {
    match (data, path) {
        (Some(data), _) => {
            STANDARD.decode(data.trim()).map(Some).map_err(|error| format!("its certificate data: {error}"))
        }
        (None, Some(path)) => {
            let path = folder.join(path);
            std::fs::read(&path).map(Some).map_err(|error| format!("`{}`: {error}", path.display()))
        }
        (None, None) => Ok(None),
    }
}

fn roots(pem: &[u8]) -> Result<RootCerts, String> {
    Ok(RootCerts::from(certificates(pem)?))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| format!("certificate: {error}"))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err("no certificate where one should be; hint: PEM text is expected".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: lab, cluster: {{{cluster}}}}}]\n\
             users: [{{name: admin, user: {{{user}}}}}]\n\
             contexts: [{{name: lab, context: {{cluster: lab, user: admin, namespace: x}}}}]\ncurrent-context: lab\n"
        )
    }

    fn read(cluster: &str, user: &str) -> Result<Access, String> {
        from_kubeconfig(&kubeconfig(cluster, user), None, Path::new("/etc/site"))
    }

    #[test]
    fn a_token_or_its_file() {
        let server = "server: \"https://127.0.0.1:6443/\", insecure-skip-tls-verify: true";
        let access = read(server, "token: secret").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(access.server, "https://127.0.0.1:6443");
        assert!(access.token == Token::Fixed("secret".into()) && access.tls.disable_verification());
        let access = read(server, "tokenFile: token").unwrap_or_else(|error| panic!("{error}"));
        assert!(access.token == Token::File("/etc/site/token".into()));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let check = |cluster: &str, user: &str, hint: &str| {
            let Err(error) = read(cluster, user) else { panic!("{cluster} {user}") };
            assert!(error.contains(hint), "{error}");
        };
        check("server: \"ftp://x\"", "token: a", "no address");
        check("server: \"http://x\"", "exec: {command: aws}", "service account");
        check("server: \"http://x\"", "username: a, password: b", "service account");
        check("server: \"http://x\"", "token: \"a b\"", "characters");
        check("server: \"https://x\", certificate-authority-data: \"!\"", "token: a", "certificate");
        check("server: \"https://x\", certificate-authority-data: aGk=", "token: a", "PEM");
        let Err(error) = from_kubeconfig("current-context: none", None, Path::new("")) else { panic!("no context") };
        assert!(error.contains("context `none`"), "{error}");
    }
}
