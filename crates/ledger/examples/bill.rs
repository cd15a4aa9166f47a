//! A made-up month of three tenants at two centres, for checks by other people's programs: what is printed is the bill
//! of one tenant in the form asked for. `cargo run -p huisuan-ledger --example bill -- focus-1.0 t1`, and `records` for
//! the rows that it is made of, `totals` for the bills' sums.
#![expect(clippy::disallowed_macros, clippy::disallowed_methods, reason = "an example prints")]

use std::env;

use huisuan_ledger::{
    invoice::{Aliases, Bill, Language, Party, csv, focus, html, records_csv},
    tariff::{Zone, month_of_text},
};
use huisuan_model::{
    AttemptId, CentreId, Class, DurationMs, Energy, GflopPerS, JobId, Mark, MeterRecord, Money, PoolId, ProjectId,
    RatedShare, Reading, TenantId, TimeMs, UnderContract,
};

/// 2,000 rows by a small generator of numbers, always the same.
fn records() -> Vec<MeterRecord> {
    let (mut state, begin) = (7_u64, Zone::of_bills().month_range(month_of_text("2026-10").expect("a month")).0);
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let row = |number: u64, next: &mut dyn FnMut(u64) -> u64| {
        let class = [Class::Ai, Class::Hpc, Class::General][next(3) as usize];
        let from = begin.0 + next(31 * 24) as i64 * 3_600_000;
        let correction = next(20) == 0;
        let cost = next(50_000_000_000) as i64 - if correction { 25_000_000_000 } else { 0 };
        let reading = Reading {
            number: 1,
            adjusts: correction.then_some(1),
            from: TimeMs(from),
            until: TimeMs(from + 3_600_000),
            at: TimeMs(from + 3_600_000 - next(7) as i64),
            work: next(40_000_000_000) as i64,
            cpu: DurationMs(next(3_600_000)),
            rule: next(3) as u32,
            contract: None,
            price: Money(1_000_000_000 + next(3) as i64),
            cost: Money(cost),
            energy: (!correction).then(|| Energy {
                joules: next(9_000_000),
                mark: [Mark::Modelled, Mark::Declared][next(2) as usize],
                carbon_g_per_kwh: (next(4) > 0).then_some(560),
            }),
        };
        let reading = match next(4) {
            0 => Reading { contract: Some(UnderContract { id: 1, list_price: Money(1_250_000_000) }), ..reading },
            _ => reading,
        };
        MeterRecord {
            attempt: AttemptId { job: JobId(number + 1), task: 0, attempt: 1 },
            tenant: TenantId::new(&format!("t{}", next(3))).expect("a name"),
            project: ProjectId::new(["default", "alpha"][next(2) as usize]).expect("a name"),
            centre: CentreId::new(["hpc-1", "ai-1"][next(2) as usize]).expect("a name"),
            pool: PoolId::new("cpu:EPYC-7742").expect("a name"),
            share: RatedShare { class, version: 1, sustained: GflopPerS(1_000), part: 1_000, whole: 64_000 },
            reading,
        }
    };
    (0..2_000).map(|number| row(number, &mut next)).collect()
}

fn main() {
    let mut arguments = env::args().skip(1);
    let form = arguments.next().unwrap_or_default();
    let tenant = arguments.next().unwrap_or_else(|| "t1".to_owned());
    let rows = records();
    let month = month_of_text("2026-10").expect("a month");
    let of = |name: &str| Bill::of(Party::Tenant(TenantId::new(name).expect("a name")), month, TimeMs(i64::MAX), &rows);
    let bill = of(&tenant);
    match form.as_str() {
        "csv" => print!("{}", csv(&bill)),
        "focus-1.2" => print!("{}", focus(&bill, Aliases::None)),
        "focus-1.0" => print!("{}", focus(&bill, Aliases::Version1)),
        "html" => print!("{}", html(&bill, Language::Chinese)),
        "records" => {
            let zone = Zone::of_bills();
            let own = rows.iter().filter(|row| row.tenant.as_str() == tenant && zone.month(row.reading.at) == month);
            print!("{}", records_csv(&own.collect::<Vec<_>>()));
        }
        "total" => println!("{}", bill.total),
        other => {
            eprintln!("`{other}` is none of csv, focus-1.2, focus-1.0, html, records, total");
        }
    }
}
