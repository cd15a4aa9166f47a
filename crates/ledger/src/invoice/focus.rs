//! A bill in the FinOps Open Cost and Usage Specification 1.2 (focus.finops.org): one row for each line and day.
//!
//! The mandatory columns of 1.2 and those conditional ones that apply. Columns of our own begin with `x_`. What we call
//! tenant, project and centre are its billing account, sub account and region. The list price is what the tariff asks,
//! the contracted one what was agreed on: a contract is a negotiated price, not a commitment to buy so much.

use huisuan_model::Class;

use super::{
    amount::{EnergyText, decimal, moment, p_h},
    bill::{Bill, Day, Line, day_range},
    csv::field,
};

/// Whether the names that tools for version 1.0 ask for stand beside those of 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aliases {
    /// The columns of 1.2 alone.
    None,
    /// `Provider`, `Publisher`, `InvoiceIssuer` and `ResourceID` too.
    Version1,
}

/// What version 1.0 asks for even where nobody commits to anything.
const COMMITMENTS: [&str; 5] = [
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
];

const ISSUER: &str = "Huisuan";

/// A bill by itself: RFC 4180 with a header line.
pub fn focus(bill: &Bill, aliases: Aliases) -> String {
    focus_header(aliases) + &focus_rows(bill, aliases)
}

/// The line of names that one file has, however many bills are in it.
pub fn focus_header(aliases: Aliases) -> String {
    line(columns(Row(None), aliases).iter().map(|(name, _)| (*name).to_owned()))
}

/// The rows of a bill: one for each line and day.
pub fn focus_rows(bill: &Bill, aliases: Aliases) -> String {
    let days = bill.lines.iter().flat_map(|line| line.days.iter().map(move |(day, sums)| (line, *day, sums)));
    let rows = days.map(|(own, day, sums)| columns(Row(Some((bill, own, day, sums))), aliases));
    rows.map(|row| line(row.iter().map(|(_, value)| field(value)))).collect()
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",") + "\n"
}

fn service(class: Class) -> (&'static str, &'static str) {
    match class {
        Class::Ai => ("AI and Machine Learning", "Huisuan AI compute"),
        Class::Hpc => ("Compute", "Huisuan HPC compute"),
        Class::General => ("Compute", "Huisuan general compute"),
    }
}

/// A line's share of a day on its bill; nothing for the header, whose names alone count.
#[derive(Clone, Copy)]
struct Row<'a>(Option<(&'a Bill, &'a Line, i64, &'a Day)>);

impl Row<'_> {
    fn bill(self, value: impl Fn(&Bill) -> String) -> String {
        self.0.map_or_else(String::new, |(bill, ..)| value(bill))
    }

    fn line(self, value: impl Fn(&Line) -> String) -> String {
        self.0.map_or_else(String::new, |(_, line, ..)| value(line))
    }

    fn day(self, value: impl Fn(i64, &Day) -> String) -> String {
        self.0.map_or_else(String::new, |(_, _, day, sums)| value(day, sums))
    }
}

type Columns = Vec<(&'static str, String)>;

/// Names and values of a row, ours last.
fn columns(row: Row<'_>, aliases: Aliases) -> Columns {
    let mut columns = [billing(row), amounts(row), energy(row), places(row)].concat();
    columns.sort_by_key(|(name, _)| (name.starts_with("x_"), *name));
    if aliases == Aliases::Version1 {
        let of =
            |name| columns.iter().find(|(known, _)| *known == name).map_or_else(String::new, |found| found.1.clone());
        let added = [
            ("Provider", of("ProviderName")),
            ("Publisher", of("PublisherName")),
            ("InvoiceIssuer", of("InvoiceIssuerName")),
            ("ResourceID", of("ResourceId")),
        ];
        columns.extend(added);
        columns.extend(COMMITMENTS.map(|name| (name, String::new())));
    }
    columns
}

/// Who pays whom, and when.
fn billing(row: Row<'_>) -> Columns {
    let tenant = row.line(|line| line.tenant.to_string());
    let project = row.line(|line| line.key.project.to_string());
    vec![
        ("BillingAccountId", tenant.clone()),
        ("BillingAccountName", tenant),
        ("BillingAccountType", "Tenant".to_owned()),
        ("BillingCurrency", row.bill(|bill| bill.currency.to_owned())),
        ("BillingPeriodEnd", row.bill(|bill| moment(bill.until))),
        ("BillingPeriodStart", row.bill(|bill| moment(bill.from))),
        ("ChargePeriodEnd", row.day(|day, _| moment(day_range(day).1))),
        ("ChargePeriodStart", row.day(|day, _| moment(day_range(day).0))),
        ("InvoiceId", row.bill(|bill| if bill.closed { bill.number() } else { String::new() })),
        ("InvoiceIssuerName", ISSUER.to_owned()),
        ("ProviderName", ISSUER.to_owned()),
        ("PublisherName", row.line(|line| line.key.centre.to_string())),
        ("SubAccountId", project.clone()),
        ("SubAccountName", project),
        ("SubAccountType", "Project".to_owned()),
    ]
}

/// How much, at which price.
fn amounts(row: Row<'_>) -> Columns {
    let cost = row.day(|_, sums| decimal(sums.cost, 6));
    let price = row.line(|line| decimal(i128::from(line.key.price.0), 6));
    let list_price = row.line(|line| decimal(i128::from(line.list_price().0), 6));
    let list = row.0.map(|(_, line, _, sums)| decimal(line.list_cost(sums.work, sums.cost), 6)).unwrap_or_default();
    vec![
        ("BilledCost", cost.clone()),
        ("ChargeCategory", "Usage".to_owned()),
        ("ChargeClass", row.line(|line| if line.correction { "Correction".to_owned() } else { String::new() })),
        ("ChargeDescription", row.line(|line| format!("{} work on {}", line.class, line.key.pool))),
        ("ChargeFrequency", "Usage-Based".to_owned()),
        ("ConsumedQuantity", row.day(|_, sums| format!("{}.0", sums.work))),
        ("ConsumedUnit", "GFLOP".to_owned()),
        ("ContractedCost", cost.clone()),
        ("ContractedUnitPrice", price),
        ("EffectiveCost", cost),
        ("ListCost", list),
        ("ListUnitPrice", list_price),
        ("PricingCategory", "Standard".to_owned()),
        ("PricingCurrency", row.bill(|bill| bill.currency.to_owned())),
        ("PricingQuantity", row.day(|_, sums| p_h(sums.work))),
        ("PricingUnit", "PFLOP/s-Hours".to_owned()),
        ("x_Contract", row.line(|line| line.key.contract.map_or_else(String::new, |under| under.id.to_string()))),
        ("x_Records", row.day(|_, sums| sums.records.to_string())),
    ]
}

/// What it took beside money.
fn energy(row: Row<'_>) -> Columns {
    let of = |day: &Day| EnergyText::of(day.energy);
    vec![
        ("x_CarbonKg", row.day(|_, day| of(day).carbon_kg)),
        ("x_EnergyKwh", row.day(|_, day| of(day).kwh)),
        ("x_EnergyMark", row.day(|_, day| of(day).mark.to_owned())),
    ]
}

/// Of what, where.
fn places(row: Row<'_>) -> Columns {
    let resource = row.line(|line| format!("{}/{}", line.key.centre, line.key.pool));
    let centre = row.line(|line| line.key.centre.to_string());
    vec![
        ("RegionId", centre.clone()),
        ("RegionName", centre),
        ("ResourceId", resource.clone()),
        ("ResourceName", row.line(|line| line.key.pool.to_string())),
        ("ResourceType", "Pool".to_owned()),
        ("ServiceCategory", row.line(|line| service(line.class).0.to_owned())),
        ("ServiceName", row.line(|line| service(line.class).1.to_owned())),
        ("SkuId", resource),
        ("SkuMeter", row.line(|line| format!("{} work", line.class))),
        ("SkuPriceId", row.line(|line| line.id.clone())),
        ("Tags", "{}".to_owned()),
        ("x_Class", row.line(|line| line.class.to_string())),
        ("x_Line", row.line(|line| line.id.clone())),
    ]
}
