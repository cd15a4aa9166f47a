//! One round: operations from a seed, faults on their way, the ledger and the reference model side by side.

use std::collections::{BTreeMap, VecDeque};

use huisuan_ledger::{
    Account, Asset, Chain, Contract, Digest, Hour, Ledger, LedgerError, Line, Reservation, Rows, Step, Transfer,
    TransferKind, Zone,
};
use huisuan_model::{Class, Gflop, Money, TimeMs};

use crate::{
    draw::{Draw, HOUR_0, Operation, What, Who, operation},
    faults::Faults,
    meter,
    names::{attempt, centre, currency, tenant},
    reference::Reference,
};

/// Operations of a round, before faults add to them.
const OPERATIONS: usize = 40;

/// What happened in some rounds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    operations: u64,
    accepted: u64,
    transfers: u64,
    faults: Faults,
    meter: meter::Tally,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.operations += other.operations;
        self.accepted += other.accepted;
        self.transfers += other.transfers;
        self.faults.add(&other.faults);
        self.meter.add(&other.meter);
    }

    pub(crate) fn json(&self, seed: u64, rounds: u64) -> String {
        let Tally { operations, accepted, transfers, faults, meter } = self;
        let mut all = *faults;
        all.add(&meter.faults);
        let Faults { crashes, duplicates, late, reordered } = all;
        let meter::Tally { operations: told, records, late_records, corrections, repeated, conflicts, .. } = meter;
        format!(
            "{{\"rounds\":{rounds},\"seed\":{seed},\"operations\":{operations},\"accepted\":{accepted},\
             \"transfers\":{transfers},\"meter_operations\":{told},\"meter_records\":{records},\
             \"late_records\":{late_records},\"corrections\":{corrections},\"repeated\":{repeated},\
             \"conflicts\":{conflicts},\"crashes\":{crashes},\"duplicates\":{duplicates},\"late\":{late},\
             \"reordered\":{reordered}}}"
        )
    }
}

/// What survives a crash: rows as texts, transfers with their hashes.
#[derive(Debug, Clone, Default)]
struct Stored {
    rows: Rows,
    transfers: Vec<(u64, Transfer, Digest)>,
    reference: Reference,
}

struct Round {
    ledger: Ledger,
    reference: Reference,
    chain: Chain,
    /// Transfers that were made since the last commit are behind those that are stored.
    transfers: Vec<(u64, Transfer, Digest)>,
    stored: Stored,
    /// Operations that nobody was told of: they are sent again after a crash.
    unacknowledged: Vec<Operation>,
    tally: Tally,
    now: i64,
}

/// Runs a round of the ledger and one of meters; the text says what went wrong.
pub(crate) fn run(seed: u64, number: u64) -> Result<Tally, String> {
    let tally = books(seed, number)?;
    let meter = meter::run(seed, number).map_err(|text| format!("meters: {text}"))?;
    Ok(Tally { meter, ..tally })
}

fn books(seed: u64, number: u64) -> Result<Tally, String> {
    let mut draw = Draw(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
    let mut round = Round {
        ledger: Ledger::new(),
        reference: Reference::default(),
        chain: Chain::default(),
        transfers: Vec::new(),
        stored: Stored::default(),
        unacknowledged: Vec::new(),
        tally: Tally::default(),
        now: 0,
    };
    let mut numbers = 0;
    let mut queue: VecDeque<Operation> = VecDeque::new();
    let mut sent = 0;
    while sent < OPERATIONS || !queue.is_empty() {
        round.now += draw.below(3) as i64;
        if sent < OPERATIONS {
            sent += 1;
            let operation = operation(&mut draw, round.now, &mut numbers);
            round.tally.faults.send(operation, &mut draw, &mut queue, Some(Operation::Expire));
        }
        if let Some(operation) = queue.pop_front() {
            round.deliver(operation)?;
        }
        match draw.below(24) {
            0 => round.crash(&mut queue)?,
            1..5 => round.commit(),
            _ => {}
        }
    }
    round.finish(&mut draw)
}

impl Round {
    /// Has both take an operation and compares what they did.
    fn deliver(&mut self, operation: Operation) -> Result<(), String> {
        self.tally.operations += 1;
        let before = self.tally.operations.is_multiple_of(16).then(|| self.ledger.clone());
        let answer = apply(&mut self.ledger, &operation, TimeMs(self.now));
        let expected = self.reference.take(&operation, self.now);
        if answer.is_ok() != expected {
            return Err(format!("{operation:?}: ledger {answer:?}, reference {expected}"));
        }
        match answer {
            Ok(transfers) => {
                self.tally.accepted += 1;
                self.record(transfers)?;
            }
            Err(_) if before.is_some_and(|before| before != self.ledger) => {
                return Err(format!("{operation:?}: a refusal changed something"));
            }
            Err(_) => {}
        }
        self.unacknowledged.push(operation);
        Ok(())
    }

    fn record(&mut self, transfers: Vec<Transfer>) -> Result<(), String> {
        for transfer in transfers {
            self.tally.transfers += 1;
            for side in [&transfer.debit, &transfer.credit] {
                let (found, expected) =
                    (self.ledger.balance(side, transfer.asset), self.expected(side, transfer.asset));
                if found != expected {
                    return Err(format!("`{side}` has {found} of `{}`, not {expected}", transfer.asset));
                }
            }
            let seq = self.tally.operations;
            let hash = link(&mut self.chain, seq, &transfer);
            self.transfers.push((seq, transfer, hash));
        }
        Ok(())
    }

    fn expected(&self, side: &Account, what: Asset) -> i128 {
        self.reference.balance(code_of(side), code_of_asset(what))
    }

    /// Everything so far is durable and told.
    fn commit(&mut self) {
        self.stored =
            Stored { rows: self.ledger.rows(), transfers: self.transfers.clone(), reference: self.reference.clone() };
        self.unacknowledged.clear();
    }

    /// The process ends and starts again from its rows; what nobody was told of comes again.
    fn crash(&mut self, queue: &mut VecDeque<Operation>) -> Result<(), String> {
        self.tally.faults.crashes += 1;
        let Stored { rows, transfers, reference } = self.stored.clone();
        self.ledger = Ledger::restore(through_texts(&rows)).map_err(|error| format!("after a crash: {error}"))?;
        if self.ledger.rows().balances != rows.balances {
            return Err("after a crash balances are not those that were stored".to_owned());
        }
        let head = transfers.last().map_or(Digest::default(), |(_, _, hash)| *hash);
        self.chain = Chain::at(transfers.len() as u64, head);
        (self.transfers, self.reference) = (transfers, reference);
        for operation in self.unacknowledged.drain(..).rev() {
            queue.push_front(operation);
        }
        // The stored state is that of the last commit still.
        Ok(())
    }

    /// The whole of both, the books from their transfers alone, and the chain.
    fn finish(mut self, draw: &mut Draw) -> Result<Tally, String> {
        self.ledger.audit().map_err(|error| error.to_string())?;
        let found: BTreeMap<(Who, What), i128> =
            self.ledger.balances().map(|(who, what, sum)| ((code_of(who), code_of_asset(what)), sum)).collect();
        let nonzero = |sums: BTreeMap<(Who, What), i128>| sums.into_iter().filter(|(_, sum)| *sum != 0).collect();
        let (found, expected): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (nonzero(found), nonzero(self.reference.balances.clone()));
        let holds: Vec<_> = self.ledger.holds().map(|(attempt, hold)| (attempt, hold.amount.0)).collect();
        let held: Vec<_> = self.reference.holds.iter().map(|(number, (.., sum))| (attempt(*number), *sum)).collect();
        let open: Vec<_> = self.ledger.reservations().map(|(number, found)| (number, found.amount)).collect();
        let reserved: Vec<_> = self.reference.reserved.iter().map(|(number, found)| (*number, found.amount)).collect();
        if found != expected || holds != held || open != reserved {
            return Err(format!("at the end: {:?}, reference {:?}", self.ledger, self.reference));
        }
        let mut sums: BTreeMap<(Who, What), i128> = BTreeMap::new();
        for posting in self.transfers.iter().flat_map(|(_, transfer, _)| transfer.postings()) {
            *sums.entry((code_of(&posting.account), code_of_asset(posting.asset))).or_default() +=
                i128::from(posting.amount);
        }
        if nonzero(sums) != expected {
            return Err("transfers do not add up to the balances".to_owned());
        }
        if self.rechained() != Some(self.chain.head()) && !self.transfers.is_empty() {
            return Err("the chain over all transfers ends elsewhere".to_owned());
        }
        if !self.transfers.is_empty() {
            let at = draw.below(self.transfers.len() as u64) as usize;
            self.transfers[at].1.amount ^= 1 << draw.below(62);
            if self.rechained() == Some(self.chain.head()) {
                return Err(format!("one altered bit of transfer {} was not found", at + 1));
            }
        }
        Ok(self.tally)
    }

    fn rechained(&self) -> Option<Digest> {
        let mut chain = Chain::default();
        self.transfers.iter().map(|(seq, transfer, _)| link(&mut chain, *seq, transfer)).last()
    }
}

fn link(chain: &mut Chain, seq: u64, transfer: &Transfer) -> Digest {
    let (asset, debit, credit) = (transfer.asset.to_string(), transfer.debit.to_string(), transfer.credit.to_string());
    let Transfer { kind, amount, job, attempt, .. } = transfer;
    chain.append(&Line {
        seq,
        at: TimeMs(0),
        kind: kind.as_str(),
        asset: &asset,
        debit: &debit,
        credit: &credit,
        amount: *amount,
        job: *job,
        attempt: *attempt,
    })
}

/// Rows as a store gives them back: every account and asset was a text.
fn through_texts(rows: &Rows) -> Rows {
    let read = |account: &Account, asset: Asset| {
        let account: Account = account.to_string().parse().expect("an account reads its own text");
        let asset: Asset = asset.to_string().parse().expect("an asset reads its own text");
        (account, asset)
    };
    let balances = rows.balances.iter().map(|((account, asset), sum)| (read(account, *asset), *sum));
    Rows { balances: balances.collect(), ..rows.clone() }
}

fn apply(ledger: &mut Ledger, operation: &Operation, now: TimeMs) -> Result<Vec<Transfer>, LedgerError> {
    let moved =
        |kind, what, from, to, amount| Step::Move(Transfer::new(kind, asset(what), account(from), account(to), amount));
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
        Operation::Reserve { number, debit, credit, asset: what, amount, expires_at } => {
            let (debit, credit, expires_at) = (account(*debit), account(*credit), expires_at.map(TimeMs));
            let wanted = Reservation { debit, credit, asset: asset(*what), amount: *amount, expires_at };
            ledger.linked(vec![Step::Reserve(*number, wanted)], now)
        }
        Operation::PostReserved { number, amount } => ledger.linked(vec![Step::Post(*number, *amount)], now),
        Operation::VoidReserved { number } => ledger.linked(vec![Step::Void(*number)], now),
        Operation::Expire => Ok(ledger.expire(now)),
        Operation::Issue { centre: place, hour, amount, cap } => {
            let Asset::Contract(contract) = asset(*hour) else { unreachable!("hours are contracts") };
            ledger.issue(&centre(*place), contract, *amount, *cap)
        }
        Operation::Trade { buyer, seller, hour, units, price, fee } => {
            let steps = vec![
                moved(TransferKind::Trade, 0, ('T', *buyer), ('L', 0), *price),
                moved(TransferKind::Trade, *hour, ('S', *seller), ('O', *buyer), *units),
                moved(TransferKind::Trade, 0, ('L', 0), ('C', *seller), price.saturating_sub(*fee)),
                moved(TransferKind::Fee, 0, ('L', 0), ('P', 0), *fee),
            ];
            ledger.linked(steps, now)
        }
        Operation::Return { who, centre: place, hour, units } => {
            ledger.linked(vec![moved(TransferKind::Idle, *hour, *who, ('I', *place), *units)], now)
        }
        Operation::CloseHours { open_from } => {
            ledger.close_hours(Hour(u32::from(*open_from - HOUR_0))).map(|()| Vec::new())
        }
        Operation::Close { who } => ledger.close(&account(*who)).map(|()| Vec::new()),
    }
}

fn account((kind, number): Who) -> Account {
    match kind {
        'F' => Account::Funding,
        'T' => Account::Tenant(tenant(number)),
        'H' => Account::Held(tenant(number)),
        'C' => Account::Centre(centre(number)),
        'U' => Account::Used(tenant(number)),
        'D' => Account::Delivered(centre(number)),
        'I' => Account::Issued(centre(number)),
        'S' => Account::Stock(centre(number)),
        'O' => Account::Owned(tenant(number)),
        'E' => Account::Escrow,
        'L' => Account::Clearing,
        _ => Account::Surplus,
    }
}

fn code_of(account: &Account) -> Who {
    let number = |name: &str| name[1..].parse().expect("a name with a number");
    match account {
        Account::Funding => ('F', 0),
        Account::Tenant(name) => ('T', number(name.as_str())),
        Account::Held(name) => ('H', number(name.as_str())),
        Account::Centre(name) => ('C', number(name.as_str())),
        Account::Used(name) => ('U', number(name.as_str())),
        Account::Delivered(name) => ('D', number(name.as_str())),
        Account::Issued(name) => ('I', number(name.as_str())),
        Account::Stock(name) => ('S', number(name.as_str())),
        Account::Owned(name) => ('O', number(name.as_str())),
        Account::Escrow => ('E', 0),
        Account::Clearing => ('L', 0),
        Account::Surplus => ('P', 0),
    }
}

fn asset(code: What) -> Asset {
    match code {
        0 | 1 => Asset::Currency(currency(code)),
        2 => Asset::Work(Class::Hpc),
        _ => Asset::Contract(Contract {
            hour: Hour(u32::from(code - HOUR_0)),
            class: Class::Hpc,
            zone: Zone::new("east").expect("a zone"),
        }),
    }
}

fn code_of_asset(asset: Asset) -> What {
    match asset {
        Asset::Currency(code) => u8::from(code.as_str() == "EUR"),
        Asset::Work(_) => 2,
        Asset::Contract(contract) => HOUR_0 + u8::try_from(contract.hour.0).expect("few hours"),
    }
}
