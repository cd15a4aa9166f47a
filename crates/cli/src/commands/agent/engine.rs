//! Opens the engine that an agent drives.

use std::path::Path;

use huisuan_drivers::{
    ContainerRules, Containers, Engine, EngineError, KubernetesConfig, KubernetesEngine, LocalConfig, LocalEngine,
    LocalLimits, SlurmConfig, SlurmEngine,
};

use super::{LocalCentre, Site};
use crate::{
    args::{AgentArgs, EngineArg},
    failure::{Exit, Failure},
    machine,
};

/// The engine that was asked for, with its configuration.
pub(super) fn open(args: &AgentArgs, site: &Site) -> Result<Box<dyn Engine>, Failure> {
    match (args.engine, &args.engine_config) {
        (EngineArg::Local, file) => local(LocalCentre {
            containers: containers(file.as_deref(), &site.folder)?,
            centre: site.join.centre.clone(),
            class: site.join.class,
            folder: site.folder.clone(),
            cores: match &args.cores {
                Some(cores) => cores.iter().map(|cpu| cpu as usize).collect(),
                None => machine::cores(),
            },
            memory: args.memory.unwrap_or_else(machine::memory),
            limits: LocalLimits::default(),
        }),
        (engine, None) => Err(usage(&format!("engine {} needs --engine-config FILE", engine.as_str()))
            .hint("docs/en/sites.md shows such a file")),
        (EngineArg::Kubernetes, Some(file)) => kubernetes(site, file),
        (EngineArg::Slurm, Some(file)) => slurm(file),
    }
}

/// How images are run on this machine, or why none is. A file that cannot be understood is a failure.
fn containers(file: Option<&Path>, folder: &Path) -> Result<Result<Containers, String>, Failure> {
    let failed = |error: EngineError| Failure::new(Exit::Usage, error).hint("docs/en/containers.md has all keys");
    let rules = file.map(ContainerRules::read).transpose().map_err(failed)?.unwrap_or_default();
    Ok(rules.find(folder))
}

/// Pods of a cluster. The centre's name and folder are the agent's, unless the file says otherwise.
fn kubernetes(site: &Site, file: &Path) -> Result<Box<dyn Engine>, Failure> {
    let failed = |error: EngineError| Failure::new(Exit::Error, error).hint("docs/en/kubernetes.md has all keys");
    let mut config = KubernetesConfig::read(file).map_err(failed)?;
    config.centre.get_or_insert_with(|| site.join.centre.clone());
    if config.dir.as_os_str().is_empty() {
        config.dir = site.folder.join("kubernetes");
    }
    Ok(Box::new(KubernetesEngine::open(config).map_err(failed)?))
}

/// A Slurm cluster, at a node where its own programs run.
fn slurm(file: &Path) -> Result<Box<dyn Engine>, Failure> {
    let failed = |error: EngineError| Failure::new(Exit::Error, error).hint("docs/en/slurm.md has all keys");
    let config = SlurmConfig::read(file).map_err(failed)?;
    Ok(Box::new(SlurmEngine::open(config).map_err(failed)?))
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, message)
}

/// The processes of this machine.
pub(super) fn local(local: LocalCentre) -> Result<Box<dyn Engine>, Failure> {
    let config = LocalConfig {
        dir: local.folder.clone(),
        cores: local.cores,
        memory: local.memory,
        supervisor: machine::supervisor(),
        pool: machine::pool()?,
        class: local.class,
        containers: local.containers,
    };
    let hint = || format!("see {}", local.folder.join("supervisor.log").display());
    let engine = LocalEngine::open_with(config, local.limits);
    Ok(Box::new(engine.map_err(|error| Failure::new(Exit::Error, error).hint(hint()))?))
}
