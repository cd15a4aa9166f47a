//! Opens the engine that an agent drives.

use std::path::Path;

use huisuan_drivers::{Engine, LocalConfig, LocalEngine, LocalLimits, SlurmConfig, SlurmEngine};

use super::{LocalCentre, Site};
use crate::{
    args::{AgentArgs, EngineArg},
    failure::{Exit, Failure},
    machine,
};

/// The engine that was asked for, with its configuration.
pub(super) fn open(args: &AgentArgs, site: &Site) -> Result<Box<dyn Engine>, Failure> {
    match (args.engine, &args.engine_config) {
        (EngineArg::Local, None) => local(LocalCentre {
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
        (EngineArg::Local, Some(file)) => Err(usage(&format!("`{}` is of no use", file.display()))
            .hint("the local engine is told by --cores and --memory; leave --engine-config out")),
        (engine, None) => Err(usage(&format!("engine {} needs --engine-config FILE", engine.as_str()))
            .hint("docs/en/sites.md shows such a file")),
        (engine, Some(file)) => cluster(engine, file),
    }
}

/// An engine of a cluster: each comes with its driver in `crates/drivers`, and is opened here.
fn cluster(engine: EngineArg, file: &Path) -> Result<Box<dyn Engine>, Failure> {
    let failed = |error| Failure::new(Exit::Error, error).hint(format!("see `{}`", file.display()));
    match engine {
        EngineArg::Slurm => {
            let config = SlurmConfig::read(file).map_err(failed)?;
            Ok(Box::new(SlurmEngine::open(config).map_err(failed)?))
        }
        engine => {
            let message = format!("engine {} of `{}` is not part of this build", engine.as_str(), file.display());
            Err(Failure::new(Exit::Error, message).hint("use a build with its driver, or --engine local"))
        }
    }
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
    };
    let hint = || format!("see {}", local.folder.join("supervisor.log").display());
    let engine = LocalEngine::open_with(config, local.limits);
    Ok(Box::new(engine.map_err(|error| Failure::new(Exit::Error, error).hint(hint()))?))
}
