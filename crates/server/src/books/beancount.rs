//! The plain-text ledger of beancount: https://beancount.github.io/docs/beancount_language_syntax.html
//!
//! A debit is positive there, so that signs are those of accountants: what tenants may still spend and what centres
//! have earned are liabilities of the network and negative. Balances are asserted without any tolerance, at the
//! beginning of the day after.

use huisuan_model::TimeMs;

use super::{
    chain::{date, day_of},
    transfers::{Row, Sheet, put},
};

/// Before anything can have happened, as accounts and assets must be introduced before they are used.
const INTRODUCED: &str = "1970-01-01";

pub(super) fn head(text: &mut String, sheet: &mut Sheet, from: Option<TimeMs>) {
    text.push_str("option \"title\" \"Huisuan\"\noption \"operating_currency\" \"CNY\"\n");
    let Some(from) = from.filter(|_| sheet.balances.values().any(|balance| *balance != 0)) else { return };
    let opening: Vec<_> = sheet.balances.clone().into_iter().filter(|(_, balance)| *balance != 0).collect();
    for ((account, asset), _) in &opening {
        introduce(text, sheet, account, asset);
    }
    // What was before adds up to nothing in every asset, so that the opening balances are a transaction.
    put(text, format_args!("\n{} * \"opening balances\"\n", date(day_of(from))));
    for ((account, asset), balance) in opening {
        posting(text, &account, &asset, -balance);
    }
}

pub(super) fn transfer(text: &mut String, sheet: &mut Sheet, row: &Row<'_>) {
    introduce(text, sheet, row.debit, row.asset);
    introduce(text, sheet, row.credit, row.asset);
    let attempt = row.attempt.map(|attempt| format!("attempt {attempt}"));
    let whom = attempt.or(row.job.map(|job| format!("job {job}"))).unwrap_or_default();
    put(text, format_args!("\n{} * \"{}\" \"{whom}\"\n", date(day_of(TimeMs(row.at_ms))), row.kind));
    put(
        text,
        format_args!("  number: {}\n  seq: {}\n  at: \"{}\"\n  hash: \"{}\"\n", row.number, row.seq, row.at, row.hash),
    );
    posting(text, row.debit, row.asset, i128::from(row.amount));
    posting(text, row.credit, row.asset, -i128::from(row.amount));
}

/// Asserts what changed on this day.
pub(super) fn end_of_day(text: &mut String, sheet: &Sheet, day: i64) {
    text.push('\n');
    for name in &sheet.changed {
        let (account, asset) = name;
        let balance = sheet.balances.get(name).copied().unwrap_or(0);
        let (number, zero) = (amount(asset, -balance), amount(asset, 0));
        let (day, account, asset) = (date(day + 1), account_name(account), commodity(asset));
        put(text, format_args!("{day} balance {account} {number} ~ {zero} {asset}\n"));
    }
}

fn introduce(text: &mut String, sheet: &mut Sheet, account: &str, asset: &str) {
    if sheet.known.insert(format!("account {account}")) {
        put(text, format_args!("\n{INTRODUCED} open {}\n  name: \"{account}\"\n", account_name(account)));
    }
    if sheet.known.insert(format!("asset {asset}")) {
        put(text, format_args!("\n{INTRODUCED} commodity {}\n  name: \"{asset}\"\n", commodity(asset)));
    }
}

fn posting(text: &mut String, account: &str, asset: &str, number: i128) {
    put(text, format_args!("  {} {} {}\n", account_name(account), amount(asset, number), commodity(asset)));
}

/// Money with six places; GFLOP as they are.
fn amount(asset: &str, number: i128) -> String {
    if asset.contains(':') {
        return number.to_string();
    }
    let (sign, digits) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    format!("{sign}{}.{:06}", digits / 1_000_000, digits % 1_000_000)
}

/// Where an account stands, and its name in the alphabet of beancount. Two names never become one.
fn account_name(account: &str) -> String {
    let (kind, name) = account.split_once(':').unwrap_or((account, ""));
    let root = match kind {
        "funding" => "Assets",
        "tenant" | "held" | "centre" | "escrow" | "clearing" | "surplus" => "Liabilities",
        _ => "Equity",
    };
    let mut text = format!("{root}:{}{}", kind[..1].to_ascii_uppercase(), &kind[1..]);
    if !name.is_empty() {
        // A part begins with a capital letter.
        text.push_str(":X");
    }
    for character in name.chars() {
        match character {
            '-' => text.push_str("--"),
            '.' => text.push_str("-d"),
            '_' => text.push_str("-u"),
            ':' => text.push_str("-c"),
            other => text.push(other),
        }
    }
    text
}

/// `CNY`, `WORK.AI`, `CONTRACT.AI.EAST.495000`.
fn commodity(asset: &str) -> String {
    asset.to_ascii_uppercase().replace(':', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_amounts_are_in_its_alphabet() {
        fn check(found: String, expected: &str) {
            assert_eq!(found, expected);
        }
        check(account_name("funding"), "Assets:Funding");
        check(account_name("tenant:lab-1"), "Liabilities:Tenant:Xlab--1");
        check(account_name("used:a:b.c_d"), "Equity:Used:Xa-cb-dc-ud");
        check(commodity("contract:ai:east-1:495000"), "CONTRACT.AI.EAST-1.495000");
        check(amount("CNY", -1), "-0.000001");
        check(amount("CNY", 12_000_000), "12.000000");
        check(amount("work:ai", -7), "-7");
        check(date(0), "1970-01-01");
        check(date(20_779), "2026-11-22");
    }
}
