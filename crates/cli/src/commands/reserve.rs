//! `reserve add|ls|cancel`.

use huisuan_api::reservations::{ReservationRequest, ReservationView};
use huisuan_api::spec::quantity::bytes_text;
use huisuan_model::{Bytes, MilliDevices, Millicores};
use serde_json::Value;

use crate::{
    args::{ReserveAddArgs, ReserveCommand},
    failure::Failure,
    session::Session,
    table::{Cell, Listing},
};

/// Runs one of them.
pub(crate) fn reserve(session: &Session, command: &ReserveCommand) -> Result<(), Failure> {
    let client = session.client()?;
    match command {
        ReserveCommand::Ls => {
            let list = client.reservations()?;
            session.output.list(&list, &list.reservations, "no reservations", || listing(&list.reservations))
        }
        ReserveCommand::Add(args) => {
            let made = client.reserve(&request(session, args))?;
            let one = std::slice::from_ref(&made);
            session.output.one(&made, || listing(one), |output| output.table(&listing(one)))?;
            session.output.remark(&format!("jobs run in it with `huisuan run --reservation {}`", made.reservation));
            Ok(())
        }
        ReserveCommand::Cancel(args) => {
            let gone = client.cancel_reservation(args.reservation.0)?;
            let one = std::slice::from_ref(&gone);
            session.output.one(&gone, || listing(one), |_| format!("reservation {} cancelled", gone.reservation))
        }
    }
}

fn request(session: &Session, args: &ReserveAddArgs) -> ReservationRequest {
    let number = |thousandths: u64| Value::from(format!("{}.{:03}", thousandths / 1000, thousandths % 1000));
    ReservationRequest {
        tenant: args.tenant.as_ref().map(ToString::to_string),
        centre: args.centre.as_ref().map(ToString::to_string),
        pool: args.pool.as_ref().map(ToString::to_string),
        class: args.class.map(|class| class.to_string()),
        cores: args.cores.map(|Millicores(cores)| number(cores)),
        memory: args.memory.map(bytes_text),
        devices: args.devices.map(|MilliDevices(devices)| number(devices)),
        from: args.from.at(session.now()),
        until: args.until.at(session.now()),
        note: args.note.clone(),
    }
}

fn listing(reservations: &[ReservationView]) -> Listing {
    let columns = ["reservation", "tenant", "centre", "pool", "cores", "devices", "from", "until", "state"];
    let mut listing = Listing::with_details(&columns, &["memory", "note"]);
    let held = |held: f64, kept: f64| match kept {
        0.0 => Cell::none(),
        _ => Cell::figure(format!("{held}/{kept}"), kept),
    };
    for one in reservations {
        listing.row(vec![
            Cell::text(one.reservation),
            Cell::text(&one.tenant),
            Cell::text(&one.centre),
            Cell::text(&one.pool),
            held(one.cores_held, one.cores),
            held(one.devices_held, one.devices),
            Cell::text(one.from),
            Cell::text(one.until),
            Cell::state(&one.state),
            Cell::text(bytes_text(Bytes(one.memory_bytes))),
            Cell::text(&one.note),
        ]);
    }
    listing
}
