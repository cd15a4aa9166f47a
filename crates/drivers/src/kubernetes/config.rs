//! What a site says of its cluster: a TOML file, read once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use huisuan_model::{Bytes, CentreId, Class, GflopPerS, PoolId};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// What a Kubernetes centre is made of. Every key may be left out of the file except `namespace`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The centre's name; the agent fills it in where the file does not.
    #[serde(default)]
    pub centre: Option<CentreId>,
    /// The folder of what must outlive the agent: ends that were acknowledged, and output. The agent fills it in
    /// where the file does not.
    #[serde(default)]
    pub dir: PathBuf,
    /// The kubeconfig to use; without one, the service account of the pod that the agent runs in.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one when absent.
    #[serde(default)]
    pub context: Option<String>,
    /// The namespace that all pods are made in.
    pub namespace: String,
    /// The image of jobs that name none; without it they are refused.
    #[serde(default)]
    pub image: Option<String>,
    /// What images of jobs begin with, such as `registry.local/`; any when empty.
    #[serde(default)]
    pub image_prefixes: Vec<String>,
    /// Whether images of jobs must be named by digest.
    #[serde(default = "yes")]
    pub digest_required: bool,
    /// Secrets with which nodes pull images.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// The service account of pods; its token is never given to them.
    #[serde(default)]
    pub service_account: Option<String>,
    /// User and group id that containers run as; never 0.
    #[serde(default = "nobody")]
    pub user: u32,
    /// The Kueue local queue of pods whose tenant has no account at the site; without one they wait for the cluster's
    /// own scheduler.
    #[serde(default)]
    pub queue: Option<String>,
    /// Who gives pods their nodes.
    #[serde(default)]
    pub placement: PlacedBy,
    /// The priority class of pods.
    #[serde(default)]
    pub priority_class: Option<String>,
    /// The runtime class of pods, such as `kata` or `gvisor`.
    #[serde(default)]
    pub runtime_class: Option<String>,
    /// Taints of nodes that pods tolerate.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
    /// The pools; found out from labels and device plugins of the nodes when empty.
    #[serde(default)]
    pub pools: Vec<PoolRule>,
    /// What agent and pods share; without it no job saves its state here, and no data is brought.
    #[serde(default)]
    pub volume: Option<SharedVolume>,
    /// From the first signal to the last, in seconds.
    #[serde(default = "thirty")]
    pub grace_s: u32,
    /// How long an image may fail to come before the attempt ends, in seconds.
    #[serde(default = "ten_minutes")]
    pub image_patience_s: u32,
    /// Most bytes of an attempt's output that are kept when its pod is removed.
    #[serde(default = "output_bytes")]
    pub output_bytes_max: u64,
    /// How often usage of running attempts is asked for and told, in seconds.
    #[serde(default = "thirty")]
    pub usage_every_s: u32,
}

/// Who gives pods their nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlacedBy {
    /// The cluster's own scheduler, each pod by itself.
    #[default]
    Kubernetes,
    /// The agent: the pods of a gang all at once or not at all. The nodes should be this centre's alone.
    Huisuan,
}

/// A taint that pods tolerate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toleration {
    /// The taint's key.
    pub key: String,
    /// The taint's value; any when absent.
    #[serde(default)]
    pub value: Option<String>,
    /// `NoSchedule`, `NoExecute` or any when absent.
    #[serde(default)]
    pub effect: Option<String>,
}

/// A volume that all nodes of the centre and the agent can write to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedVolume {
    /// The claim in the namespace by which pods get it.
    pub claim: String,
    /// Where it is on the agent's machine.
    pub path: PathBuf,
    /// For so many days after a task's last end what it saved is kept; for ever when absent.
    #[serde(default)]
    pub keep_days: Option<u32>,
}

/// The nodes that make up a pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRule {
    /// The part number.
    pub id: PoolId,
    /// The class it is rated in.
    pub class: Class,
    /// The extended resource of its devices, such as `nvidia.com/gpu` or `huawei.com/Ascend910`; none for a pool of
    /// processors.
    #[serde(default)]
    pub resource: Option<String>,
    /// Memory of one device.
    #[serde(default)]
    pub device_memory: Bytes,
    /// The sustained rate of one device, or of one core of a pool of processors, in the precision of the class, as the
    /// site declares it: what runs elsewhere cannot be measured by the agent.
    #[serde(default)]
    pub rate_each: Option<GflopPerS>,
    /// Labels that all of its nodes have.
    #[serde(default)]
    pub nodes: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn nobody() -> u32 {
    65_534
}

fn thirty() -> u32 {
    30
}

fn ten_minutes() -> u32 {
    600
}

fn output_bytes() -> u64 {
    64 << 20
}

impl KubernetesConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, has a key that is not known, or says something that no cluster accepts.
    pub fn read(path: &Path) -> Result<KubernetesConfig, EngineError> {
        let text = std::fs::read_to_string(path).map_err(EngineError::file("configuration", path))?;
        let wrong = |detail: String| EngineError::Config { path: path.to_owned(), detail };
        let config: KubernetesConfig = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        config.check().map_err(wrong)?;
        Ok(config)
    }

    /// What is wrong with it, for people.
    pub(super) fn check(&self) -> Result<(), String> {
        let label = |what: &str, value: &str| match is_dns_label(value) {
            true => Ok(()),
            false => Err(format!("{what} `{value}` is no name in Kubernetes; hint: a-z 0-9 and -, at most 63")),
        };
        label("namespace", &self.namespace)?;
        let names = [&self.queue, &self.service_account, &self.priority_class, &self.runtime_class];
        let claim = self.volume.as_ref().map(|volume| &volume.claim);
        for name in names.into_iter().flatten().chain(claim).chain(&self.image_pull_secrets) {
            if !is_dns_name(name) {
                return Err(format!("`{name}` is no name in Kubernetes; hint: a-z 0-9 - and ."));
            }
        }
        if self.user == 0 {
            return Err("user 0 is root; hint: jobs of tenants run as another user, such as 65534".to_owned());
        }
        if let Some(prefix) = self.image_prefixes.iter().find(|prefix| !prefix.ends_with('/')) {
            return Err(format!("image prefix `{prefix}` also begins other registries' names; hint: end it with /"));
        }
        if let Some(volume) = self.volume.as_ref().filter(|volume| !volume.path.is_absolute()) {
            return Err(format!(
                "path `{}` of the volume is not absolute; hint: begin it with /",
                volume.path.display()
            ));
        }
        if self.volume.as_ref().is_some_and(|volume| volume.keep_days == Some(0)) {
            return Err("keep_days of the volume is 0; hint: at least 1, or leave it out".to_owned());
        }
        if self.usage_every_s == 0 {
            return Err("usage_every_s is 0; hint: at least 1".to_owned());
        }
        let mut ids: Vec<_> = self.pools.iter().map(|pool| &pool.id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("pool `{}` is there twice", pair[0])),
            None => Ok(()),
        }
    }
}

/// A name as Kubernetes wants it for most things.
pub(super) fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// A name as Kubernetes wants it for namespaces.
fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<KubernetesConfig, String> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("kubernetes.toml");
        std::fs::write(&path, text).expect("written");
        KubernetesConfig::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_says_what_a_centre_is() {
        let config = read("namespace = 'jobs'").expect("enough");
        assert_eq!(config.placement, PlacedBy::Kubernetes);
        let own = read("namespace = 'jobs'\nplacement = 'huisuan'").expect("a configuration");
        assert_eq!(own.placement, PlacedBy::Huisuan);
        assert_eq!((config.user, config.grace_s, config.digest_required), (65_534, 30, true));
        let whole = "namespace = 'jobs'\nqueue = 'tenant-a'\n[[pools]]\nid = 'A100'\nclass = 'ai'\n\
                     resource = 'nvidia.com/gpu'\nnodes = { 'nvidia.com/gpu.product' = 'A100' }\n\
                     [[tolerations]]\nkey = 'gpu'\neffect = 'NoSchedule'\n";
        let config = read(whole).expect("a configuration");
        assert_eq!(config.pools[0].resource.as_deref(), Some("nvidia.com/gpu"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |text: &str, hint: &str| {
            let error = read(text).expect_err(text);
            assert!(error.contains(hint), "{text}: {error}");
        };
        check("", "namespace");
        check("namespace = 'jobs'\nprivileged = true", "privileged");
        check("namespace = 'a/b'", "namespace `a/b`");
        check("namespace = 'jobs'\nuser = 0", "root");
        check("namespace = 'jobs'\nplacement = 'slurm'", "placement");
        check("namespace = 'jobs'\nqueue = 'Q'", "`Q`");
        check("namespace = 'jobs'\nimage_prefixes = ['registry.local']", "end it with /");
        check("namespace = 'jobs'\nusage_every_s = 0", "at least 1");
        check("namespace = 'jobs'\nvolume = { claim = 'a' }", "path");
        check("namespace = 'jobs'\nvolume = { claim = 'a', path = 'b' }", "not absolute");
        check("namespace = 'jobs'\nvolume = { claim = 'a', path = '/b', keep_days = 0 }", "keep_days");
        check("namespace = 'jobs'\nvolume = { claim = '../a', path = '/b' }", "`../a`");
        let twice = "[[pools]]\nid = 'a'\nclass = 'ai'\n".repeat(2);
        check(&format!("namespace = 'jobs'\n{twice}"), "twice");
    }
}
