//! The words of Huisuan: typed ids, quantities, job specs, centres, commands, events and reasons.
//!
//! This crate holds vocabulary and validation, no behaviour beyond arithmetic. It must never read a
//! clock, do I/O or draw random numbers; it is the one crate that every other may use.
//! Start reading at [`spec`] (what a user asks for), then [`command`] and [`event`] (what happens to it).
//!
//! Quantities are integers in fixed units: milliseconds UTC, millicores, bytes, thousandths of a device,
//! GFLOP for work, GFLOP/s for rates, millionths of a currency unit.

pub mod advance;
pub mod alarm;
pub mod centre;
pub mod channel;
pub mod command;
pub mod contract;
pub mod dependency;
pub mod energy;
pub mod event;
pub mod facts;
pub mod hex;
pub mod hostlist;
pub mod ids;
pub mod job;
pub mod meter;
pub mod oddity;
pub mod order;
pub mod past;
pub mod place;
pub mod plan;
pub mod precision;
pub mod quantity;
pub mod ranges;
pub mod rating;
pub mod reason;
pub mod shape;
pub mod site;
pub mod spec;
pub mod starts;
pub mod targets;
pub mod tariff;
pub mod tenant;
pub mod topology;
pub mod window;

pub use advance::{AdvanceReservation, AskedReservation, ReservationId};
pub use alarm::{Alarm, AlarmKind};
pub use centre::{Centre, CentreState, Class, EngineKind, Mark, Pool, Presence, RatedShare, Tariff, Terms};
pub use channel::ChannelTarget;
pub use command::{Command, Entry};
pub use contract::{AgreedPrice, Contract, UnderContract};
pub use dependency::{Dependency, EndReason, EndedJob, When};
pub use energy::{Energy, EnergySum};
pub use event::Event;
pub use facts::Facts;
pub use ids::{ActorId, ApplicationId, AttemptId, CentreId, JobId, PoolId, ProjectId, TenantId};
pub use job::{Attempt, AttemptState, Job, JobState};
pub use meter::{LineKey, MeterRecord, Metered, Metering, Reading, Tally};
pub use oddity::{OddBook, Oddity, OddityKind};
pub use order::{AttemptReport, EndCause, Order, Outcome, ReportKind, Staged, StartOrder, Stream, Usage};
pub use past::{PastAttempt, PastRow};
pub use place::Place;
pub use plan::{
    Basis, Improvement, Moved, NodeShare, Placement, Plan, Preemption, Reservation, ScoreTerm, ShapeReason,
};
pub use precision::Precision;
pub use quantity::{Bytes, DurationMs, Gflop, GflopPerS, MilliDevices, Millicores, Money, TimeMs};
pub use ranges::RangeSet;
pub use rating::{Certificate, Doubt, PrecisionRate, Rating};
pub use reason::{BudgetLimit, QuotaResource, Reason};
pub use shape::{Reach, Shape};
pub use site::{SiteBook, SiteFeatures, SiteQos, SiteReservation};
pub use spec::{JobSpec, SpecHash};
pub use starts::{Band, OpaquePolicy, StartDelay, Starts};
pub use targets::{ScarcePool, TargetPart, Targets};
pub use tariff::{HourSet, TariffRule};
pub use tenant::Tenant;
pub use topology::{Level, Together, Topology};
pub use window::Window;
