//! The ledger against a slow one written otherwise: a list of moves that is added up for every question.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_ledger::{Account, Asset, Hold, Ledger, LedgerError, Rows, Transfer};
use huisuan_model::{AttemptId, Class, Gflop, Money};
use proptest::prelude::*;

#[path = "../examples/campaign/names.rs"]
mod names;

use names::{attempt, centre, currency, tenant};

/// One thing that somebody asks of the ledger.
#[derive(Debug, Clone)]
enum Operation {
    Fund { tenant: u8, currency: u8, amount: i64 },
    Hold { tenant: u8, currency: u8, attempts: Vec<u32>, each: i64 },
    Settle { attempt: u32, centre: u8, cost: i64, work: u64 },
    Void { attempt: u32 },
}

/// The slow ledger: account, asset and amount of every move, and a list of holds.
#[derive(Debug, Clone, Default)]
struct Reference {
    moves: Vec<(String, String, i128)>,
    holds: Vec<(u32, u8, u8, i128)>,
}

impl Reference {
    fn balance(&self, account: &str, asset: &str) -> i128 {
        self.moves.iter().filter(|(a, b, _)| a == account && b == asset).map(|(_, _, amount)| amount).sum()
    }

    fn shift(&mut self, from: String, to: String, asset: &str, amount: i128) {
        self.moves.push((from, asset.to_owned(), -amount));
        self.moves.push((to, asset.to_owned(), amount));
    }

    /// Does it, or says the kind of refusal and does nothing.
    fn apply(&mut self, operation: &Operation) -> Result<(), &'static str> {
        match operation {
            Operation::Fund { tenant, currency, amount } => self.fund(*tenant, *currency, (*amount).into()),
            Operation::Hold { tenant, currency, attempts, each } => {
                self.hold(*tenant, *currency, attempts, (*each).into())
            }
            Operation::Settle { attempt, centre, cost, work } => {
                self.settle(*attempt, *centre, (*cost).into(), (*work).into())
            }
            Operation::Void { attempt } => {
                let (tenant, currency, amount) = self.take(*attempt, |_| Ok(()))?;
                let (held, free) = (format!("held:t{tenant}"), format!("tenant:t{tenant}"));
                self.shift(held, free, code(currency), amount);
                Ok(())
            }
        }
    }

    fn fund(&mut self, tenant: u8, currency: u8, amount: i128) -> Result<(), &'static str> {
        let asset = code(currency);
        match () {
            () if amount <= 0 => Err("sign"),
            () if -self.balance("funding", asset) > MOST - amount => Err("too-large"),
            () => {
                self.shift("funding".into(), format!("tenant:t{tenant}"), asset, amount);
                Ok(())
            }
        }
    }

    fn hold(&mut self, tenant: u8, currency: u8, attempts: &[u32], each: i128) -> Result<(), &'static str> {
        let (free, held, asset) = (format!("tenant:t{tenant}"), format!("held:t{tenant}"), code(currency));
        let sum = each * attempts.len() as i128;
        let distinct: BTreeSet<u32> = attempts.iter().copied().collect();
        let twice = distinct.len() < attempts.len();
        match () {
            () if each < 0 => Err("sign"),
            () if sum > MOST => Err("too-large"),
            () if sum > self.balance(&free, asset) => Err("unaffordable"),
            () if twice || self.holds.iter().any(|hold| distinct.contains(&hold.0)) => Err("already-held"),
            () => {
                self.holds.extend(attempts.iter().map(|&number| (number, tenant, currency, each)));
                self.shift(free, held, asset, sum);
                Ok(())
            }
        }
    }

    fn settle(&mut self, attempt: u32, centre: u8, cost: i128, work: i128) -> Result<(), &'static str> {
        let (tenant, currency, amount) = self.take(attempt, |amount| match () {
            () if cost < 0 => Err("sign"),
            () if cost > amount => Err("above-hold"),
            () if work > MOST => Err("too-large"),
            () => Ok(()),
        })?;
        let (asset, held) = (code(currency), || format!("held:t{tenant}"));
        self.shift(held(), format!("centre:c{centre}"), asset, cost);
        self.shift(held(), format!("tenant:t{tenant}"), asset, amount - cost);
        self.shift(format!("delivered:c{centre}"), format!("used:t{tenant}"), "work:hpc", work);
        Ok(())
    }

    /// Takes a hold out, if its amount is good.
    fn take(
        &mut self,
        attempt: u32,
        good: impl Fn(i128) -> Result<(), &'static str>,
    ) -> Result<(u8, u8, i128), &'static str> {
        let at = self.holds.iter().position(|hold| hold.0 == attempt).ok_or("not-held")?;
        good(self.holds[at].3)?;
        let (_, tenant, currency, amount) = self.holds.remove(at);
        Ok((tenant, currency, amount))
    }
}

/// The most that fits into an amount.
const MOST: i128 = i64::MAX as i128;

fn code(number: u8) -> &'static str {
    ["CNY", "EUR"][usize::from(number)]
}

fn apply(ledger: &mut Ledger, operation: &Operation) -> Result<Vec<Transfer>, LedgerError> {
    match operation {
        Operation::Fund { tenant: who, currency: code, amount } => {
            ledger.fund(&tenant(*who), currency(*code), Money(*amount))
        }
        Operation::Hold { tenant: who, currency: code, attempts, each } => {
            ledger.hold(&tenant(*who), currency(*code), attempts.iter().map(|&number| attempt(number)), Money(*each))
        }
        Operation::Settle { attempt: number, centre: place, cost, work } => {
            ledger.settle(attempt(*number), &centre(*place), Money(*cost), Class::Hpc, Gflop(*work))
        }
        Operation::Void { attempt: number } => ledger.void(attempt(*number)),
    }
}

fn kind(error: &LedgerError) -> &'static str {
    match error {
        LedgerError::Unaffordable { .. } => "unaffordable",
        LedgerError::Sign { .. } => "sign",
        LedgerError::TooLarge { .. } => "too-large",
        LedgerError::AlreadyHeld { .. } => "already-held",
        LedgerError::NotHeld { .. } => "not-held",
        LedgerError::AboveHold { .. } => "above-hold",
        other => unreachable!("{other}"),
    }
}

/// Mostly small amounts, so that most operations succeed, and the extremes of the type.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0i64..1000,
        1 => prop::sample::select(vec![i64::MIN, -1, i64::MAX / 2, i64::MAX - 1, i64::MAX]),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let work = prop_oneof![8 => 0u64..1000, 1 => prop::sample::select(vec![i64::MAX as u64, u64::MAX])];
    prop_oneof![
        2 => (0u8..3, 0u8..2, amount()).prop_map(|(tenant, currency, amount)| {
            Operation::Fund { tenant, currency, amount }
        }),
        3 => (0u8..3, 0u8..2, prop::collection::vec(0u32..24, 0..6), amount()).prop_map(
            |(tenant, currency, attempts, each)| Operation::Hold { tenant, currency, attempts, each }
        ),
        3 => (0u32..24, 0u8..2, amount(), work).prop_map(|(attempt, centre, cost, work)| {
            Operation::Settle { attempt, centre, cost: cost / 4, work }
        }),
        1 => (0u32..24).prop_map(|attempt| Operation::Void { attempt }),
    ]
}

/// Same balances, same holds; sums of zero; nothing below zero where nothing may be.
fn compare(ledger: &Ledger, reference: &Reference) -> Result<(), TestCaseError> {
    for (account, asset, balance) in ledger.balances() {
        prop_assert_eq!(balance, reference.balance(&account.to_string(), &asset.to_string()), "{} {}", account, asset);
    }
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for (account, asset, amount) in &reference.moves {
        let read = |text: &str| text.parse::<Account>().expect("an account of the reference is one");
        let asset_read = asset.parse::<Asset>().expect("an asset of the reference is one");
        prop_assert_eq!(ledger.balance(&read(account), asset_read), reference.balance(account, asset));
        *sums.entry(asset).or_default() += amount;
    }
    prop_assert!(sums.values().all(|sum| *sum == 0));
    let holds: BTreeMap<AttemptId, Hold> = ledger.holds().map(|(id, hold)| (id, hold.clone())).collect();
    let expected = reference.holds.iter().map(|&(number, who, code, amount)| {
        let amount = Money(i64::try_from(amount).expect("a hold fits into 64 bits"));
        (attempt(number), Hold { tenant: tenant(who), currency: currency(code), amount })
    });
    prop_assert_eq!(holds, expected.collect::<BTreeMap<_, _>>());
    prop_assert_eq!(ledger.audit(), Ok(()));
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_the_reference(operations in prop::collection::vec(operation(), 0..60)) {
        let (mut ledger, mut reference) = (Ledger::new(), Reference::default());
        let mut replayed: BTreeMap<(Account, Asset), i128> = BTreeMap::new();
        for operation in &operations {
            let before = ledger.clone();
            let answer = apply(&mut ledger, operation);
            let expected = reference.apply(operation);
            prop_assert_eq!(answer.as_ref().map(|_| ()).map_err(kind), expected, "{:?}", operation);
            match answer {
                Err(_) => prop_assert_eq!(&ledger, &before, "a refusal changed something: {:?}", operation),
                Ok(transfers) => {
                    for posting in transfers.iter().flat_map(Transfer::postings) {
                        prop_assert!(posting.amount != 0);
                        *replayed.entry((posting.account, posting.asset)).or_default() += i128::from(posting.amount);
                    }
                }
            }
            compare(&ledger, &reference)?;
        }
        // The transfers alone are the balances: the rows of postings can be added up by anybody.
        let balances: BTreeMap<_, _> = ledger.balances().map(|(account, asset, b)| ((account.clone(), asset), b)).collect();
        prop_assert_eq!(&replayed, &balances);
        // What is stored comes back equal, at once and after the texts of the rows.
        let rows: Vec<(String, String, String)> =
            balances.iter().map(|((account, asset), b)| (account.to_string(), asset.to_string(), b.to_string())).collect();
        let read = rows.iter().map(|(account, asset, balance)| {
            let key = (account.parse().expect("written"), asset.parse().expect("written"));
            (key, balance.parse().expect("written"))
        });
        let holds = ledger.holds().map(|(id, hold)| (id, hold.clone())).collect();
        let restored = Ledger::restore(Rows { balances: read.collect(), holds, ..Rows::default() });
        prop_assert_eq!(restored, Ok(ledger));
    }

    #[test]
    fn a_damaged_row_is_found(
        operations in prop::collection::vec(operation(), 1..40),
        row in any::<prop::sample::Index>(),
        change in prop_oneof![1i128..100, -100i128..0],
    ) {
        let mut ledger = Ledger::new();
        for operation in &operations {
            let _refused_ones_do_not_matter = apply(&mut ledger, operation);
        }
        let mut balances: Vec<_> = ledger.balances().map(|(account, asset, b)| ((account.clone(), asset), b)).collect();
        prop_assume!(!balances.is_empty());
        let row = row.index(balances.len());
        balances[row].1 += change;
        let holds: Vec<_> = ledger.holds().map(|(id, hold)| (id, hold.clone())).collect();
        let damaged = Rows { balances, holds, ..Rows::default() };
        prop_assert!(Ledger::restore(damaged).is_err());
    }
}
