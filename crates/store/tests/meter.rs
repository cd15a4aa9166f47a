//! Rows of the meter come back as they were written, and what the database adds up is what the model adds up.

use huisuan_model::{
    AttemptId, CentreId, Class, DurationMs, Energy, EnergySum, GflopPerS, JobId, Mark, MeterRecord, Money, PoolId,
    ProjectId, RatedShare, Reading, TenantId, TimeMs, UnderContract, energy::JOULES_MAX,
};
use huisuan_store::{Batch, DataDirectory, Reader, Store};

fn record(job: u64, task: u32, number: u32, energy: Option<Energy>) -> MeterRecord {
    let hour = 3_600_000;
    let from = i64::from(number) * hour;
    MeterRecord {
        attempt: AttemptId { job: JobId(job), task, attempt: 1 },
        tenant: TenantId::new("lab").expect("a name"),
        project: ProjectId::new("default").expect("a name"),
        centre: CentreId::new("hpc-1").expect("a name"),
        pool: PoolId::new("cpu:x").expect("a name"),
        share: RatedShare { class: Class::Hpc, version: 1, sustained: GflopPerS(9), part: 1, whole: 2 },
        reading: Reading {
            number,
            adjusts: None,
            from: TimeMs(from),
            until: TimeMs(from + hour),
            at: TimeMs(from + hour),
            work: 5,
            cpu: DurationMs(7),
            rule: 0,
            contract: number.is_multiple_of(2).then_some(UnderContract { id: number, list_price: Money(4) }),
            price: Money(3),
            cost: Money(1),
            energy,
        },
    }
}

/// What the database says of so much energy: of a job, of its attempt and of the centre.
fn check(energies: &[Option<Energy>]) {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = DataDirectory::open(folder.path()).expect("a free directory");
    let mut store = Store::open(directory).expect("a database");
    let other = record(2, 0, 1, Some(Energy { joules: 1, mark: Mark::Declared, carbon_g_per_kwh: Some(3_600) }));
    let own: Vec<MeterRecord> = (1..).zip(energies).map(|(number, energy)| record(1, 4, number, *energy)).collect();
    let meters = [own.clone(), vec![other.clone()]].concat();
    store.commit([&Batch { meters: meters.clone(), ..Batch::default() }.prepare()]).expect("a commit");
    let reader = Reader::open(&store.database()).expect("a reader");
    assert!(reader.meters_after(None, 1_000).expect("rows") == meters, "{energies:?}");
    let sum = |records: &[MeterRecord]| {
        let mut sum = None;
        records.iter().for_each(|record| EnergySum::add(&mut sum, record.reading.energy));
        sum
    };
    let attempt = AttemptId { job: JobId(1), task: 4, attempt: 1 };
    assert_eq!(reader.energy_of_job(JobId(1)).expect("a sum"), sum(&own), "{energies:?}");
    assert_eq!(reader.energy_of_attempt(attempt).expect("a sum"), sum(&own), "{energies:?}");
    assert_eq!(reader.energy_of_attempt(AttemptId { task: 5, ..attempt }).expect("a sum"), None);
    let centre = CentreId::new("hpc-1").expect("a name");
    let totals = reader.meter_totals(&centre, TimeMs(0), TimeMs(i64::MAX)).expect("totals");
    assert_eq!(totals.iter().map(|total| total.energy).collect::<Vec<_>>(), [sum(&meters)], "{energies:?}");
}

#[test]
fn energy_is_added_up_as_the_model_does() {
    let energy = |joules, mark, carbon_g_per_kwh| Some(Energy { joules, mark, carbon_g_per_kwh });
    check(&[]);
    check(&[None]);
    check(&[None, energy(0, Mark::Measured, None)]);
    // Each row's CO2 is cut to whole milligrams before they are added.
    check(&[energy(3_599, Mark::Measured, Some(1)), energy(3_599, Mark::Modelled, Some(1)), None]);
    check(&[energy(7_201, Mark::Modelled, Some(560)), energy(12, Mark::Declared, None)]);
    // The most that rows can say still adds up in the database's own integers.
    check(&[energy(JOULES_MAX, Mark::Modelled, Some(10_000)); 200]);
}
