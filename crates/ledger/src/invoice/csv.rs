//! A bill as CSV: one row for each line, then nothing else, so that the column of costs adds up to the bill.

use super::{
    amount::{EnergyText, decimal, moment, p_h},
    bill::Bill,
};
use crate::tariff::month_text;

const HEADER: &str = "bill,month,tenant,centre,pool,class,project,line,rule,contract,list_price_per_p_h,price_per_p_h,currency,work_gflop,work_p_h,\
given_core_or_device_hours,cpu_hours,energy_kwh,carbon_kg,energy_mark,attempts,records,cost\n";

/// One field, in quotes where it must be.
pub(super) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// RFC 4180 with a header line.
pub fn csv(bill: &Bill) -> String {
    let mut text = HEADER.to_owned();
    for line in &bill.lines {
        let rule = if line.key.rule == 0 { "base".to_owned() } else { line.key.rule.to_string() };
        let energy = EnergyText::of(line.energy);
        let fields = [
            bill.number(),
            month_text(bill.month),
            line.tenant.to_string(),
            line.key.centre.to_string(),
            line.key.pool.to_string(),
            line.class.to_string(),
            line.key.project.to_string(),
            line.id.clone(),
            rule,
            line.key.contract.map_or_else(String::new, |under| under.id.to_string()),
            decimal(i128::from(line.list_price().0), 6),
            decimal(i128::from(line.key.price.0), 6),
            bill.currency.to_owned(),
            line.work.to_string(),
            p_h(line.work),
            decimal(line.given_ms / 3_600_000, 3),
            decimal(line.cpu_ms / 3_600, 3),
            energy.kwh,
            energy.carbon_kg,
            energy.mark.to_owned(),
            line.attempts.to_string(),
            line.records.to_string(),
            decimal(line.cost, 6),
        ];
        text.push_str(&fields.map(|text| field(&text)).join(","));
        text.push('\n');
    }
    text
}

/// The rows of a line as CSV.
pub fn records_csv(records: &[&huisuan_model::MeterRecord]) -> String {
    let mut text =
        "attempt,number,adjusts,from,until,booked,work_gflop,cpu_ms,rating_version,share,rule,contract,price,cost,energy_j,\
         energy_mark,carbon_g_per_kwh\n"
            .to_owned();
    for record in records {
        let (reading, share) = (&record.reading, record.share);
        let adjusts = reading.adjusts.map_or_else(String::new, |of| of.to_string());
        let energy = reading.energy;
        let figure = |figure: Option<u64>| figure.map_or_else(String::new, |figure| figure.to_string());
        text.push_str(&format!(
            "{},{},{adjusts},{},{},{},{},{},{},{}/{},{},{},{},{},{},{},{}\n",
            record.attempt,
            reading.number,
            moment(reading.from),
            moment(reading.until),
            moment(reading.at),
            reading.work,
            reading.cpu.0,
            share.version,
            share.part,
            share.whole,
            reading.rule,
            reading.contract.map_or_else(String::new, |under| under.id.to_string()),
            decimal(i128::from(reading.price.0), 6),
            decimal(i128::from(reading.cost.0), 6),
            figure(energy.map(|energy| energy.joules)),
            EnergyText::of(energy.map(Into::into)).mark,
            figure(energy.and_then(|energy| energy.carbon_g_per_kwh).map(u64::from)),
        ));
    }
    text
}
