//! `agent --check`: what `doctor` is for a network, at a site: whether everything is in order before it joins.

use std::{fs, io, path::Path};

use huisuan_api::{AgentClient, Client, ErrorCode, agent::PROTOCOL, routes::OrdersQuery};

use super::{Site, engine};
use crate::{
    args::AgentArgs,
    commands::doctor::{self, Checks, Level},
    failure::Failure,
    session::Session,
    text,
};

/// File systems over a network, by the numbers that the kernel gives them (linux/magic.h). Locks and claims there are
/// only as good as the server behind them.
const NETWORK_DISKS: [(u64, &str); 7] = [
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];
/// Below this much free space orders cannot be accepted for long: 256 MiB.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// Looks at everything; fails when something is bad.
pub(super) fn check(session: &Session, args: &AgentArgs, site: &Site) -> Result<(), Failure> {
    let mut checks = Checks::default();
    let join = &site.join;
    checks.add("site", true, format!("centre {} of class {}", join.centre, join.class), "");
    let rules = match &args.policy {
        Some(path) => (Level::Ok, format!("`{}` is understood", path.display())),
        None => (Level::Warn, "none: the network may run anything here".to_owned()),
    };
    checks.level("policy", rules.0, rules.1, "give the site's own rules with --policy FILE");
    folder(&mut checks, &site.folder);
    server(&mut checks, session, site);
    match engine::open(args, site) {
        Ok(engine) => match engine.inventory() {
            Ok(pools) => {
                let detail =
                    format!("{} answers with {}", args.engine.as_str(), text::count(pools.len() as u64, "pool"));
                checks.add("engine", !pools.is_empty(), detail, "an engine without pools can run nothing");
                let mode = engine.memory_mode();
                let known = engine.held().is_ok_and(|held| held.is_some());
                let level = if known { Level::Ok } else { Level::Warn };
                let hint = "differences between engine and books are not found at this site";
                checks.level("reconciliation", level, format!("memory limits: {mode}"), hint);
                images(&mut checks, engine.images());
                let hint = "see what the page on Slurm says of `[users]`";
                for (who, tried) in engine.local_users() {
                    let why = tried.as_ref().err().map(|why| format!(": {why}")).unwrap_or_default();
                    checks.add("local user", tried.is_ok(), who + &why, hint);
                }
            }
            Err(error) => checks.add("engine", false, error.to_string(), "see the engine's own log"),
        },
        Err(failure) => checks.failed("engine", &failure),
    }
    doctor::accelerators(&mut checks);
    doctor::report(session, &checks)
}

/// Whether container images run here: without them jobs that name one go elsewhere, which is no fault.
fn images(checks: &mut Checks, images: Result<String, String>) {
    match images {
        Ok(how) => checks.add("container images", true, how, ""),
        Err(why) => checks.level("container images", Level::Ok, format!("none: {why}"), ""),
    }
}

/// Whether the folder can be written, is of this machine, and has room.
fn folder(checks: &mut Checks, folder: &Path) {
    let name = folder.display();
    if let Err(error) = writable(folder) {
        let hint = "name another one with --data DIR, writable by this user alone";
        return checks.add("folder", false, format!("`{name}` cannot be written: {error}"), hint);
    }
    let Ok(disk) = rustix::fs::statfs(folder) else {
        return checks.level("folder", Level::Warn, format!("`{name}`: its disk cannot be looked at"), "look yourself");
    };
    let kind = u64::try_from(disk.f_type).unwrap_or(0) & 0xffff_ffff;
    let hint = "use a disk of this machine: locks on a network disk may not hold";
    match NETWORK_DISKS.iter().find(|(number, _)| *number == kind) {
        Some((_, kind)) => checks.level("folder", Level::Warn, format!("`{name}` is on {kind}"), hint),
        None => checks.add("folder", true, format!("`{name}` is writable, on a disk of this machine"), ""),
    }
    let free = disk.f_bavail.saturating_mul(u64::try_from(disk.f_bsize).unwrap_or(0));
    let detail = format!("{} free in `{name}`", text::memory(free));
    checks.add("disk", free >= FREE_BYTES_MIN, detail, "free some space, or name another folder with --data DIR");
}

fn writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let probe = folder.join("check.tmp");
    fs::write(&probe, b"written by `huisuan agent --check`")?;
    fs::remove_file(probe)
}

/// Whether the server answers, speaks this protocol, has the same time and knows the token.
fn server(checks: &mut Checks, session: &Session, site: &Site) {
    let join = &site.join;
    let health = Client::new(&join.server, None).and_then(|client| client.health());
    let Some(health) = checks.call("server", health.map_err(Failure::from)) else { return };
    checks.add("server", true, format!("{} answers, version {}", join.server, health.version), "");
    let detail = format!("server speaks {}, this agent {PROTOCOL}", health.protocol);
    checks.add("protocol", health.protocol >= PROTOCOL, detail, "update the server first, then its agents");
    doctor::clock(checks, session, &health);
    let hint = "`huisuan centre token NAME --rotate` at the server gives a new one";
    match token_known(site) {
        Ok(true) => checks.add("token", true, "accepted", ""),
        Ok(false) => checks.add("token", false, format!("not that of centre `{}`", join.centre), hint),
        Err(failure) => checks.failed("token", &failure),
    }
}

/// Asks for orders of no server run: who is let in is told that the run is over, and nothing is taken from anybody.
fn token_known(site: &Site) -> Result<bool, Failure> {
    let client = AgentClient::new(&site.join.server, Some(&site.join.token), site.join.centre.clone())?;
    let OrdersQuery { epoch, .. } = OrdersQuery::default();
    match client.orders(epoch, 0, std::time::Duration::ZERO) {
        Ok(_) => Ok(true),
        Err(error) => match error.problem().map(|problem| problem.code) {
            Some(ErrorCode::StaleEpoch) => Ok(true),
            Some(ErrorCode::Unauthenticated) => Ok(false),
            _ => Err(error.into()),
        },
    }
}
