//! What the operations do, told in amounts, and what an audit finds in damaged rows.

use huisuan_ledger::{Account, Asset, AuditError, Currency, Hold, Ledger, LedgerError, Rows, Transfer};
use huisuan_model::{AttemptId, CentreId, Class, Gflop, JobId, Money, TenantId};

fn lab() -> TenantId {
    TenantId::new("lab").expect("a valid name")
}

fn hpc() -> CentreId {
    CentreId::new("hpc-1").expect("a valid name")
}

fn cny() -> Currency {
    Currency::new("CNY").expect("a currency")
}

fn attempt(job: u64, task: u32) -> AttemptId {
    AttemptId { job: JobId(job), task, attempt: 1 }
}

/// A ledger where `lab` has 100.
fn funded() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.fund(&lab(), cny(), Money(100)).expect("funding is accepted");
    ledger
}

/// A transfer as `kind debit>credit amount asset job attempt`.
fn text(transfer: &Transfer) -> String {
    let Transfer { kind, asset, debit, credit, amount, attempt, job } = transfer;
    let attempt = attempt.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let job = job.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("{kind} {debit}>{credit} {amount} {asset} {job} {attempt}")
}

fn check(answer: Result<Vec<Transfer>, LedgerError>, expected: &[&str]) {
    let texts: Vec<String> = answer.expect("the operation is accepted").iter().map(text).collect();
    assert_eq!(texts, expected);
}

#[test]
fn money_is_held_then_posted_and_the_rest_comes_back() {
    let mut ledger = Ledger::new();
    check(ledger.fund(&lab(), cny(), Money(100)), &["fund funding>tenant:lab 100 CNY - -"]);
    let two = [attempt(1, 0), attempt(1, 1)];
    check(ledger.hold(&lab(), cny(), two, Money(30)), &["hold tenant:lab>held:lab 60 CNY 1 -"]);
    check(ledger.hold(&lab(), cny(), [attempt(2, 0)], Money(40)), &["hold tenant:lab>held:lab 40 CNY 2 2.0.1"]);
    assert_eq!((ledger.available(&lab(), cny()), ledger.held(&lab(), cny())), (Money(0), Money(100)));
    check(
        ledger.settle(attempt(1, 0), &hpc(), Money(12), Class::Hpc, Gflop(7)),
        &[
            "post held:lab>centre:hpc-1 12 CNY 1 1.0.1",
            "void held:lab>tenant:lab 18 CNY 1 1.0.1",
            "work delivered:hpc-1>used:lab 7 work:hpc 1 1.0.1",
        ],
    );
    check(ledger.void(attempt(2, 0)), &["void held:lab>tenant:lab 40 CNY 2 2.0.1"]);
    assert_eq!((ledger.available(&lab(), cny()), ledger.held(&lab(), cny())), (Money(58), Money(30)));
    assert_eq!(ledger.earned(&hpc(), cny()), Money(12));
    assert_eq!(ledger.balance(&Account::Used(lab()), Asset::Work(Class::Hpc)), 7);
    assert_eq!(ledger.balance(&Account::Used(lab()), Asset::Work(Class::Ai)), 0);
    assert_eq!(ledger.hold_of(attempt(1, 1)).map(|hold| hold.amount), Some(Money(30)));
    assert_eq!(ledger.audit(), Ok(()));
}

#[test]
fn transfers_of_nothing_are_left_out() {
    let mut ledger = Ledger::new();
    check(ledger.hold(&lab(), cny(), [attempt(1, 0)], Money(0)), &[]);
    check(ledger.hold(&lab(), cny(), [], Money(5)), &[]);
    check(ledger.settle(attempt(1, 0), &hpc(), Money(0), Class::Hpc, Gflop(0)), &[]);
    assert_eq!(ledger.balances().count(), 0);
}

#[test]
fn attempts_of_several_jobs_share_a_transfer_without_a_job() {
    let mut ledger = funded();
    let three = [attempt(1, 0), attempt(2, 0), attempt(1, 1)];
    check(ledger.hold(&lab(), cny(), three, Money(1)), &["hold tenant:lab>held:lab 3 CNY - -"]);
}

/// Of 100 there are 40 held for attempt 1.0.1; then the operation is refused and changes nothing.
fn check_refused(operation: impl Fn(&mut Ledger) -> Result<Vec<Transfer>, LedgerError>, error: LedgerError) {
    let mut ledger = funded();
    ledger.hold(&lab(), cny(), [attempt(1, 0)], Money(40)).expect("60 stay free");
    let before = ledger.clone();
    assert_eq!(operation(&mut ledger), Err(error));
    assert_eq!(ledger, before);
}

#[test]
fn refusals_name_what_was_asked_and_what_there_is() {
    let two = || [attempt(2, 0), attempt(2, 1)];
    let (needed, available) = (Money(62), Money(60));
    check_refused(
        |ledger| ledger.hold(&lab(), cny(), two(), Money(31)),
        LedgerError::Unaffordable { tenant: lab(), currency: cny(), needed, available },
    );
    let eur = Currency::new("EUR").expect("a currency");
    let (needed, available) = (Money(1), Money(0));
    check_refused(
        |ledger| ledger.hold(&lab(), eur, [attempt(2, 0)], Money(1)),
        LedgerError::Unaffordable { tenant: lab(), currency: eur, needed, available },
    );
}

#[test]
fn an_attempt_has_one_hold_and_costs_no_more() {
    let again = attempt(1, 0);
    check_refused(
        |ledger| ledger.hold(&lab(), cny(), [attempt(2, 0), again], Money(1)),
        LedgerError::AlreadyHeld { attempt: again },
    );
    check_refused(
        |ledger| ledger.hold(&lab(), cny(), [attempt(3, 0), attempt(3, 0)], Money(1)),
        LedgerError::AlreadyHeld { attempt: attempt(3, 0) },
    );
    check_refused(
        |ledger| ledger.settle(again, &hpc(), Money(41), Class::Hpc, Gflop(0)),
        LedgerError::AboveHold { attempt: again, cost: Money(41), hold: Money(40) },
    );
    check_refused(|ledger| ledger.void(attempt(9, 0)), LedgerError::NotHeld { attempt: attempt(9, 0) });
}

#[test]
fn sums_beyond_64_bits_are_refused() {
    let two = || [attempt(2, 0), attempt(2, 1)];
    let operation = "hold";
    check_refused(
        |ledger| ledger.hold(&lab(), cny(), two(), Money(i64::MAX)),
        LedgerError::TooLarge { operation, sum: 2 * i128::from(i64::MAX) },
    );
    let sum = i128::from(i64::MAX) + 100;
    check_refused(
        |ledger| ledger.fund(&lab(), cny(), Money(i64::MAX)),
        LedgerError::TooLarge { operation: "fund", sum },
    );
}

#[test]
fn an_attempt_is_settled_once() {
    let mut ledger = funded();
    ledger.hold(&lab(), cny(), [attempt(1, 0)], Money(40)).expect("it is affordable");
    ledger.settle(attempt(1, 0), &hpc(), Money(40), Class::Hpc, Gflop(1)).expect("it is held");
    let again = ledger.settle(attempt(1, 0), &hpc(), Money(40), Class::Hpc, Gflop(1));
    assert_eq!(again, Err(LedgerError::NotHeld { attempt: attempt(1, 0) }));
    assert_eq!(ledger.void(attempt(1, 0)), Err(LedgerError::NotHeld { attempt: attempt(1, 0) }));
    assert_eq!(ledger.earned(&hpc(), cny()), Money(40));
}

/// Rows as `account asset balance`, holds of `lab` as job and amount.
fn check_damaged(rows: &[&str], holds: &[(u64, i64)], expected: AuditError) {
    let rows = rows.iter().map(|row| {
        let mut words = row.split(' ');
        let mut word = || words.next().expect("a row has three words");
        let account = word().parse().expect("an account");
        let asset = word().parse().expect("an asset");
        ((account, asset), word().parse().expect("a balance"))
    });
    let holds = holds.iter().map(|&(job, amount)| {
        let amount = Money(amount);
        (attempt(job, 0), Hold { tenant: lab(), currency: cny(), amount })
    });
    let rows = Rows { balances: rows.collect(), holds: holds.collect(), ..Rows::default() };
    assert_eq!(Ledger::restore(rows), Err(expected));
}

#[test]
fn a_damaged_balance_is_named() {
    let (money, work) = (Asset::Currency(cny()), Asset::Work(Class::Ai));
    let (funding, tenant) = (Account::Funding, Account::Tenant(lab()));
    let wrong = |balance| AuditError::Balance { account: funding.clone(), asset: money, balance };
    check_damaged(&["funding CNY -5"], &[], AuditError::Sum { asset: money, sum: -5 });
    check_damaged(&["funding CNY 5", "tenant:lab CNY -5"], &[], wrong(5));
    let wide = i128::from(i64::MAX) + 1;
    let rows = [format!("funding CNY -{wide}"), format!("tenant:lab CNY {wide}")];
    check_damaged(&rows.each_ref().map(String::as_str), &[], wrong(-wide));
    let error = AuditError::Asset { account: tenant.clone(), asset: work };
    check_damaged(&["tenant:lab work:ai 5"], &[], error);
    let error = AuditError::BalanceTwice { account: tenant, asset: money };
    check_damaged(&["tenant:lab CNY 0", "tenant:lab CNY 0"], &[], error);
}

#[test]
fn a_damaged_hold_is_named() {
    let held = |balance, holds| AuditError::Held { tenant: lab(), currency: cny(), balance, holds };
    let five = ["funding CNY -5", "held:lab CNY 5"];
    check_damaged(&five, &[], held(5, 0));
    check_damaged(&[], &[(1, 3)], held(0, 3));
    check_damaged(&five, &[(1, 3), (2, 3)], held(5, 6));
    let attempt = attempt(1, 0);
    check_damaged(&[], &[(1, -1)], AuditError::Hold { attempt, amount: -1 });
    check_damaged(&[], &[(1, 0), (1, 0)], AuditError::HoldTwice { attempt });
}

#[test]
fn work_of_one_attempt_beyond_64_bits_is_refused() {
    let mut ledger = funded();
    ledger.hold(&lab(), cny(), [attempt(1, 0)], Money(1)).expect("it is affordable");
    let refused = ledger.settle(attempt(1, 0), &hpc(), Money(1), Class::Hpc, Gflop(u64::MAX));
    assert_eq!(refused, Err(LedgerError::TooLarge { operation: "book as work", sum: i128::from(u64::MAX) }));
    ledger
        .settle(attempt(1, 0), &hpc(), Money(1), Class::Hpc, Gflop(i64::MAX as u64))
        .expect("the hold is still there");
}
