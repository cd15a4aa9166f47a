//! The second opinion over the golden journals: it agrees with the ledger, and names what was altered.

use std::collections::BTreeMap;

use huisuan_ledger::{Auditor, Currency, Ledger, LedgerError, Transfer};
use huisuan_model::{AttemptId, CentreId, Class, Entry, Event, Gflop, MeterRecord, Money};

const JOURNALS: [&str; 2] = [
    include_str!("../../store/tests/golden/v1/journal.jsonl"),
    include_str!("../../store/tests/golden/v1-more/journal.jsonl"),
];

/// A journal beside the transfers that the ledger made of each entry.
struct Books {
    entries: Vec<(Entry, Vec<Transfer>)>,
    balances: Vec<(String, String, i128)>,
}

/// What runs: where, at whose cost, and how much of its hold was posted already.
struct Running {
    centre: CentreId,
    class: Class,
    hold: Money,
    cost: Money,
    work: u64,
}

/// Tells the ledger what the events say, as control does.
fn books(journal: &str) -> Books {
    let cny = Currency::new("CNY").expect("a currency");
    let (mut ledger, mut entries) = (Ledger::new(), Vec::new());
    let (mut payers, mut placed) = (BTreeMap::new(), BTreeMap::new());
    let mut attempts: BTreeMap<_, u32> = BTreeMap::new();
    for line in journal.lines() {
        let entry: Entry = serde_json::from_str(line).expect("an entry");
        let mut transfers = Vec::new();
        for event in &entry.events {
            let made = match event {
                Event::Funded { tenant, amount } => ledger.fund(tenant, cny, *amount),
                Event::JobSubmitted { job, tenant, .. } => {
                    payers.insert(*job, tenant.clone());
                    continue;
                }
                Event::TasksPlaced { job, tasks, centre, hold_each, terms, .. } => {
                    let ids: Vec<_> = tasks
                        .iter()
                        .map(|task| {
                            let attempt = attempts.entry((*job, task)).and_modify(|last| *last += 1).or_insert(1);
                            AttemptId { job: *job, task, attempt: *attempt }
                        })
                        .collect();
                    let running = || Running {
                        centre: centre.clone(),
                        class: terms.share.class,
                        hold: *hold_each,
                        cost: Money(0),
                        work: 0,
                    };
                    placed.extend(ids.iter().map(|id| ((id.job, id.task), running())));
                    ledger.hold(&payers[job], cny, ids, *hold_each)
                }
                Event::AttemptEnded { attempt, work, cost, .. } => {
                    let ran = &placed[&(attempt.job, attempt.task)];
                    // Preemptions renumber attempts in ways that this short story does not follow.
                    let number = attempts[&(attempt.job, attempt.task)];
                    let id = AttemptId { attempt: number, ..*attempt };
                    let (cost, work) = (Money(cost.0 - ran.cost.0), Gflop(work.0 - ran.work));
                    ledger.settle(id, &ran.centre, cost, ran.class, work)
                }
                Event::AttemptUsed { attempt, readings, .. } if !readings.is_empty() => {
                    let runs: &mut Running = placed.get_mut(&(attempt.job, attempt.task)).expect("placed");
                    let id = AttemptId { attempt: attempts[&(attempt.job, attempt.task)], ..*attempt };
                    let cost = Money(readings.iter().map(|reading| reading.cost.0).sum());
                    let work = readings.iter().map(|reading| reading.work.unsigned_abs()).sum();
                    (runs.cost, runs.work) = (Money(runs.cost.0 + cost.0), runs.work + work);
                    let posted = ledger.settle(id, &runs.centre, cost, runs.class, Gflop(work)).expect("a posting");
                    transfers.extend(posted);
                    ledger.hold(&payers[&attempt.job], cny, [id], Money(runs.hold.0 - runs.cost.0))
                }
                Event::CreditChanged { tenant, by } if by.0 > 0 => ledger.fund(tenant, cny, *by),
                Event::CreditChanged { tenant, by } => ledger.withdraw(tenant, cny, Money(-by.0)),
                Event::Rerated { corrections, .. } => after_the_end(&mut ledger, cny, corrections),
                Event::LateUsed { records } => after_the_end(&mut ledger, cny, records),
                _ => continue,
            };
            transfers.extend(made.expect("a golden journal is good"));
        }
        entries.push((entry, transfers));
    }
    let balances = ledger.balances().map(|(account, asset, sum)| (account.to_string(), asset.to_string(), sum));
    Books { balances: balances.collect(), entries }
}

/// Books what was corrected of attempts that had ended, or came late.
fn after_the_end(
    ledger: &mut Ledger,
    currency: Currency,
    records: &[MeterRecord],
) -> Result<Vec<Transfer>, LedgerError> {
    let mut all = Vec::new();
    for MeterRecord { attempt, tenant, centre, share, reading, .. } in records {
        all.extend(match reading.timed() {
            true => ledger.late(*attempt, (tenant, centre), currency, reading.cost, share.class, reading.work)?,
            false => ledger.correct(*attempt, tenant, centre, currency, reading.cost)?,
        });
    }
    Ok(all)
}

/// What the auditor finds, as texts.
fn findings(books: &Books) -> Vec<String> {
    let mut auditor = Auditor::new();
    for (entry, transfers) in &books.entries {
        for event in &entry.events {
            if let Err(finding) = auditor.event(entry.seq, event, "CNY") {
                return vec![finding.to_string()];
            }
        }
        for transfer in transfers {
            let [asset, debit, credit] =
                [transfer.asset.to_string(), transfer.debit.to_string(), transfer.credit.to_string()];
            auditor.transfer(entry.seq, &asset, &debit, &credit, transfer.amount);
        }
    }
    let stored = books.balances.iter().map(|(account, asset, sum)| (account.as_str(), asset.as_str(), *sum));
    auditor.compare(stored).iter().map(ToString::to_string).collect()
}

#[test]
fn good_books_are_good() {
    for journal in JOURNALS {
        let books = books(journal);
        assert!(books.entries.iter().map(|(_, transfers)| transfers.len()).sum::<usize>() > 5);
        assert_eq!(findings(&books), Vec::<String>::new());
    }
}

#[test]
fn every_altered_transfer_is_named_with_its_entry() {
    let mut books = books(JOURNALS[0]);
    for at in 0..books.entries.len() {
        for row in 0..books.entries[at].1.len() {
            books.entries[at].1[row].amount += 1;
            let found = findings(&books);
            assert_eq!(found.len(), 2, "one for each side: {found:?}");
            let start = format!("from entry {} of the journal on", books.entries[at].0.seq);
            assert!(found.iter().all(|text| text.starts_with(&start)), "{start}: {found:?}");
            books.entries[at].1[row].amount -= 1;
        }
    }
}

#[test]
fn every_altered_balance_is_named() {
    let mut books = books(JOURNALS[0]);
    for row in 0..books.balances.len() {
        books.balances[row].2 -= 1;
        let (account, asset, sum) = books.balances[row].clone();
        let expected = format!("account `{account}` has {sum} of `{asset}`, the journal comes to {}", sum + 1);
        assert_eq!(findings(&books), [expected]);
        books.balances[row].2 += 1;
    }
    let missing = books.balances.remove(0);
    assert!(findings(&books)[0].contains(&format!("account `{}` has 0", missing.0)));
}

#[test]
fn an_altered_journal_is_named() {
    fn check(alter: impl Fn(&mut Event) -> bool, expected: &str) {
        let mut books = books(JOURNALS[0]);
        let altered = books.entries.iter_mut().flat_map(|(entry, _)| &mut entry.events).any(alter);
        assert!(altered, "{expected}");
        let found = findings(&books);
        assert!(found.iter().any(|text| text.contains(expected)), "{expected}: {found:?}");
    }
    let more = |event: &mut Event| match event {
        Event::Funded { amount, .. } => {
            amount.0 += 1;
            true
        }
        _ => false,
    };
    check(more, "account `funding` are off by 1");
    let dear = |event: &mut Event| match event {
        Event::AttemptEnded { cost, .. } => {
            *cost = Money(i64::MAX);
            true
        }
        _ => false,
    };
    check(dear, "was posted from a hold of");
    let busy = |event: &mut Event| match event {
        Event::AttemptEnded { work, .. } => {
            *work = Gflop(work.0 + 7);
            true
        }
        _ => false,
    };
    check(busy, "are off by -7");
    let other = |event: &mut Event| match event {
        Event::AttemptEnded { attempt, .. } => {
            attempt.task += 1_000;
            true
        }
        _ => false,
    };
    check(other, "ends and was not placed");
}
