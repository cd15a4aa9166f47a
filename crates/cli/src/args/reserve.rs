//! Reservations in advance.

use clap::{Args, Subcommand};
use huisuan_api::spec::quantity;
use huisuan_model::{Bytes, CentreId, Class, MilliDevices, Millicores, PoolId, ReservationId, TenantId};

use crate::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum ReserveCommand {
    /// Keeps a part of a pool for a tenant's jobs that name it, from one moment to another.
    Add(ReserveAddArgs),
    /// Lists reservations.
    Ls,
    /// Takes a reservation back; its jobs that run go on.
    Cancel(ReserveCancelArgs),
}

/// What is to be kept.
#[derive(Debug, Args)]
pub(crate) struct ReserveAddArgs {
    /// When it begins: 2026-03-01T20:00:00+08:00, `now`, or from now on such as `+2h`.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) from: parse::Moment,
    /// When it is over, written in the same ways.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) until: parse::Moment,
    /// Processor cores; with devices those that belong to them when absent.
    #[arg(long, value_name = "CORES", value_parser = quantity::cores, required_unless_present = "devices")]
    pub(crate) cores: Option<Millicores>,
    /// Accelerators.
    #[arg(long, value_name = "DEVICES", value_parser = quantity::devices)]
    pub(crate) devices: Option<MilliDevices>,
    /// Memory; what belongs to the devices or cores when absent.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) memory: Option<Bytes>,
    /// Only at this centre; at the cheapest that has it all the time when absent.
    #[arg(long, visible_alias = "center", value_name = "NAME")]
    pub(crate) centre: Option<CentreId>,
    /// Only of pools of this part number.
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolId>,
    /// Only of pools of this class: ai, hpc or general.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// For whom; operators reserve for anybody.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<TenantId>,
    /// What for, for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

/// One reservation.
#[derive(Debug, Args)]
pub(crate) struct ReserveCancelArgs {
    /// Its number.
    #[arg(value_name = "RESERVATION")]
    pub(crate) reservation: ReservationId,
}
