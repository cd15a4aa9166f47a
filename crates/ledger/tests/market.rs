//! Reservations, linked transfers, contracts for an hour, and closing, told in amounts.

use huisuan_ledger::{
    Account, Asset, AuditError, Contract, Hour, Ledger, LedgerError, Reservation, Rows, Step, Transfer, TransferKind,
    Zone,
};
use huisuan_model::{CentreId, Class, Money, TenantId, TimeMs};

const NOW: TimeMs = TimeMs(1_000);

fn account(text: &str) -> Account {
    text.parse().expect("an account")
}

fn asset(text: &str) -> Asset {
    text.parse().expect("an asset")
}

fn hpc() -> CentreId {
    CentreId::new("hpc-1").expect("a name")
}

fn contract(hour: u32) -> Contract {
    Contract { hour: Hour(hour), class: Class::Hpc, zone: Zone::new("east").expect("a zone") }
}

/// `lab` has 100 CNY, `bank` has 50, and `hpc-1` has 1,000 GFLOP of hour 7 to sell.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new();
    let cny = "CNY".parse().expect("a currency");
    for (tenant, amount) in [("lab", 100), ("bank", 50)] {
        ledger.fund(&TenantId::new(tenant).expect("a name"), cny, Money(amount)).expect("it is positive");
    }
    ledger.issue(&hpc(), contract(7), 1_000, 1_000).expect("it is within the cap");
    ledger
}

/// `kind asset debit>credit amount`, as a transfer.
fn transfer(text: &str) -> Transfer {
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, what, sides, amount] = words[..] else { panic!("four words: {text}") };
    let (debit, credit) = sides.split_once('>').expect("two sides");
    let kind: TransferKind = kind.parse().expect("a kind");
    Transfer::new(kind, asset(what), account(debit), account(credit), amount.parse().expect("a number"))
}

fn step(text: &str) -> Step {
    Step::Move(transfer(text))
}

fn money(amount: i64, expires_at: Option<i64>) -> Reservation {
    let (debit, credit, expires_at) = (account("tenant:lab"), account("centre:hpc-1"), expires_at.map(TimeMs));
    Reservation { debit, credit, asset: asset("CNY"), amount, expires_at }
}

/// What a group of steps does, as texts; the refusal otherwise, after which nothing has changed.
fn check(ledger: &mut Ledger, steps: Vec<Step>, expected: Result<&[&str], LedgerError>) {
    let before = ledger.clone();
    let found = ledger.linked(steps, NOW);
    if found.is_err() {
        assert_eq!(*ledger, before, "a refusal changed something");
    }
    assert_eq!(found, expected.map(|texts| texts.iter().map(|text| transfer(text)).collect()));
    assert_eq!(ledger.audit(), Ok(()));
}

#[test]
fn what_is_reserved_is_posted_and_the_rest_comes_back() {
    let mut ledger = ledger();
    check(&mut ledger, vec![Step::Reserve(1, money(60, None))], Ok(&["reserve CNY tenant:lab>escrow 60"]));
    check(&mut ledger, vec![Step::Reserve(1, money(60, None))], Ok(&[]));
    let other = LedgerError::OtherReservation { reservation: 1 };
    check(&mut ledger, vec![Step::Reserve(1, money(61, None))], Err(other));
    let above = LedgerError::AboveReserved { reservation: 1, amount: 61, reserved: 60 };
    check(&mut ledger, vec![Step::Post(1, 61)], Err(above));
    let lab = account("tenant:lab");
    let overdraft = LedgerError::Overdraft { account: lab.clone(), asset: asset("CNY"), amount: 41, balance: -1 };
    check(&mut ledger, vec![Step::Reserve(2, money(41, None))], Err(overdraft));
    let posted = ["post CNY escrow>centre:hpc-1 45", "void CNY escrow>tenant:lab 15"];
    check(&mut ledger, vec![Step::Post(1, 45)], Ok(&posted));
    let gone = || Err(LedgerError::NotReserved { reservation: 1 });
    check(&mut ledger, vec![Step::Post(1, 1)], gone());
    check(&mut ledger, vec![Step::Void(1)], gone());
    check(&mut ledger, vec![Step::Reserve(1, money(1, None))], gone());
    assert_eq!(ledger.balance(&lab, asset("CNY")), 55);
}

#[test]
fn what_is_not_posted_in_time_goes_back() {
    let mut ledger = ledger();
    let expired = Err(LedgerError::Expired { reservation: 1 });
    check(&mut ledger, vec![Step::Reserve(1, money(5, Some(1_000)))], expired);
    let all = vec![
        Step::Reserve(1, money(10, Some(3_000))),
        Step::Reserve(2, money(20, Some(2_000))),
        Step::Reserve(3, money(30, None)),
        Step::Reserve(4, money(40, Some(3_001))),
    ];
    ledger.linked(all, NOW).expect("it is affordable");
    assert_eq!(ledger.expire(TimeMs(1_999)), []);
    assert_eq!(ledger.linked(vec![Step::Post(2, 1)], TimeMs(2_000)), Err(LedgerError::Expired { reservation: 2 }));
    let texts = ["expire CNY escrow>tenant:lab 20", "expire CNY escrow>tenant:lab 10"];
    assert_eq!(ledger.expire(TimeMs(3_000)), texts.map(transfer));
    assert_eq!(ledger.expire(TimeMs(3_000)), []);
    assert_eq!(ledger.reservations().map(|(number, _)| number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(ledger.audit(), Ok(()));
}

#[test]
fn contract_and_payment_change_hands_together() {
    let mut ledger = ledger();
    let hour = "contract:hpc:east:7";
    let deliver = format!("trade {hour} stock:hpc-1>owned:lab 400");
    let pay = "trade CNY tenant:lab>clearing 80";
    let rest = ["trade CNY clearing>centre:hpc-1 77", "fee CNY clearing>surplus 3"];
    let all = [pay, &deliver, rest[0], rest[1]];
    check(&mut ledger, all.map(step).into(), Ok(&all));
    let texts = [deliver.as_str(), "trade CNY tenant:lab>centre:hpc-1 21"];
    let overdraft =
        LedgerError::Overdraft { account: account("tenant:lab"), asset: asset("CNY"), amount: 21, balance: -1 };
    check(&mut ledger, texts.map(step).into(), Err(overdraft));
    let left = LedgerError::NotCleared { asset: asset("CNY"), balance: 1 };
    check(&mut ledger, vec![step("trade CNY tenant:bank>clearing 1")], Err(left));
    let sold = format!("trade {hour} stock:hpc-1>owned:lab 601");
    let stock = account("stock:hpc-1");
    let overdraft = LedgerError::Overdraft { account: stock, asset: asset(hour), amount: 601, balance: -1 };
    check(&mut ledger, vec![step(&sold)], Err(overdraft));
}

#[test]
fn a_centre_issues_what_it_can_do() {
    let mut ledger = ledger();
    let refused = ledger.issue(&hpc(), contract(7), 1, 1_000);
    let (centre, asset) = (hpc(), Asset::Contract(contract(7)));
    assert_eq!(refused, Err(LedgerError::AboveCap { centre, asset, issued: 1_001, cap: 1_000 }));
    assert!(ledger.issue(&hpc(), contract(7), 1, 1_001).is_ok());
    assert!(ledger.issue(&hpc(), contract(8), 1_000, 1_000).is_ok());
    assert!(matches!(ledger.issue(&hpc(), contract(8), -1, 1_000), Err(LedgerError::Sign { .. })));
}

#[test]
fn an_hour_ends_when_all_of_it_came_back() {
    let mut ledger = ledger();
    let hour = "contract:hpc:east:7";
    check(
        &mut ledger,
        vec![step(&format!("trade {hour} stock:hpc-1>owned:lab 400"))],
        Ok(&[&format!("trade {hour} stock:hpc-1>owned:lab 400")]),
    );
    let left = ledger.close_hours(Hour(8));
    let (issued, asset) = (account("issued:hpc-1"), asset(hour));
    assert_eq!(left, Err(LedgerError::NotEmpty { account: issued, asset, balance: -1_000 }));
    let back =
        ["deliver owned:lab 350", "shortfall owned:lab 50", "idle stock:hpc-1 500", "unavailable stock:hpc-1 100"];
    let back = back.map(|text| {
        let words: Vec<&str> = text.split(' ').collect();
        format!("{} {hour} {}>issued:hpc-1 {}", words[0], words[1], words[2])
    });
    ledger.linked(back.iter().map(|text| step(text)).collect(), NOW).expect("all of it goes back");
    ledger.close_hours(Hour(8)).expect("nothing is left");
    assert!(ledger.balances().all(|(_, found, _)| found != asset), "the hour is forgotten");
    let over = LedgerError::Over { asset };
    assert_eq!(ledger.issue(&hpc(), contract(7), 1, 1_000), Err(over));
    // Rows of it may still be there; they say nothing.
    let mut rows = ledger.rows();
    rows.balances.push(((account("issued:hpc-1"), asset), 0));
    assert_eq!(Ledger::restore(rows), Ok(ledger));
}

#[test]
fn a_closed_account_takes_nothing() {
    let mut ledger = ledger();
    let bank = account("tenant:bank");
    let not_empty = LedgerError::NotEmpty { account: bank.clone(), asset: asset("CNY"), balance: 50 };
    assert_eq!(ledger.close(&bank), Err(not_empty));
    check(&mut ledger, vec![step("trade CNY tenant:bank>tenant:lab 50")], Ok(&["trade CNY tenant:bank>tenant:lab 50"]));
    let reservation = Reservation { credit: bank.clone(), ..money(5, None) };
    ledger.linked(vec![Step::Reserve(1, reservation)], NOW).expect("it is affordable");
    assert_eq!(ledger.close(&bank), Err(LedgerError::Reserved { account: bank.clone(), reservation: 1 }));
    ledger.linked(vec![Step::Void(1)], NOW).expect("it is open");
    ledger.close(&bank).expect("it is empty");
    let closed = || LedgerError::Closed { account: bank.clone() };
    check(&mut ledger, vec![step("trade CNY tenant:lab>tenant:bank 1")], Err(closed()));
    let reservation = Reservation { credit: bank.clone(), ..money(5, None) };
    check(&mut ledger, vec![Step::Reserve(2, reservation)], Err(closed()));
    let mut rows = ledger.rows();
    assert_eq!(Ledger::restore(rows.clone()), Ok(ledger));
    rows.balances.retain(|((account, _), _)| *account != Account::Funding && *account != bank);
    rows.balances.push(((bank.clone(), asset("CNY")), 150));
    rows.balances.push(((Account::Funding, asset("CNY")), -300));
    assert_eq!(Ledger::restore(rows), Err(AuditError::Closed { account: bank }));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let lab = || account("tenant:lab");
    let wrong = |name: &str, what: &str| LedgerError::WrongAsset { account: account(name), asset: asset(what) };
    let held = Reservation { credit: account("held:lab"), ..money(1, None) };
    let surplus = Reservation { credit: account("used:lab"), ..money(1, None) };
    for (steps, expected) in [
        (vec![step("trade CNY tenant:lab>tenant:lab 1")], LedgerError::SameAccount { account: lab() }),
        (vec![step("trade CNY tenant:lab>used:lab 1")], wrong("used:lab", "CNY")),
        (vec![step("trade work:hpc stock:hpc-1>used:lab 1")], wrong("stock:hpc-1", "work:hpc")),
        (vec![step("post CNY escrow>tenant:lab 1")], LedgerError::SetAside { account: Account::Escrow }),
        (vec![step("hold CNY tenant:lab>held:lab 1")], LedgerError::SetAside { account: account("held:lab") }),
        (vec![Step::Reserve(1, held)], LedgerError::SetAside { account: account("held:lab") }),
        (vec![Step::Reserve(1, surplus)], wrong("used:lab", "CNY")),
        (
            vec![Step::Reserve(2, money(1, None)), Step::Reserve(1, money(1, None))],
            LedgerError::NotReserved { reservation: 1 },
        ),
        (vec![Step::Void(1), Step::Post(1, 0)], LedgerError::NotReserved { reservation: 1 }),
        (
            vec![Step::Reserve(1, money(1, None)), Step::Reserve(1, money(1, None))],
            LedgerError::OtherReservation { reservation: 1 },
        ),
    ] {
        check(&mut ledger(), steps, Err(expected));
    }
    for steps in [vec![step("trade CNY tenant:lab>tenant:bank -1")], vec![Step::Reserve(1, money(0, None))]] {
        assert!(matches!(ledger().linked(steps, NOW), Err(LedgerError::Sign { .. })));
    }
    let most = format!("fund CNY funding>tenant:lab {}", i64::MAX);
    assert!(matches!(ledger().linked(vec![step(&most)], NOW), Err(LedgerError::TooLarge { .. })));
}

#[test]
fn damaged_reservations_are_named() {
    let mut ledger = ledger();
    ledger.linked(vec![Step::Reserve(1, money(5, Some(2_000)))], NOW).expect("it is affordable");
    let rows = || ledger.rows();
    assert_eq!(Ledger::restore(rows()).as_ref(), Ok(&ledger));
    let damaged = |last| Err(AuditError::Reservation { reservation: 1, last });
    assert_eq!(Ledger::restore(Rows { reservation_last: 0, ..rows() }), damaged(0));
    let twice = vec![(1, money(5, None)), (1, money(5, None))];
    assert_eq!(Ledger::restore(Rows { reservations: twice, ..rows() }), damaged(1));
    assert_eq!(Ledger::restore(Rows { reservations: vec![(1, money(0, None))], ..rows() }), damaged(1));
    let escrow = |sum| Err(AuditError::Escrow { asset: asset("CNY"), balance: 5, sum });
    assert_eq!(Ledger::restore(Rows { reservations: vec![], ..rows() }), escrow(0));
    assert_eq!(Ledger::restore(Rows { reservations: vec![(1, money(4, None))], ..rows() }), escrow(4));
}
