//! Operations and faults from a seed.

/// A stream of numbers: SplitMix64 of Steele, Lea and Flood, 2014.
#[derive(Debug, Clone)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Mostly small, sometimes nothing, negative or near the end of the type.
    pub(crate) fn amount(&mut self) -> i64 {
        match self.below(40) {
            0 => [i64::MIN, -1, 0, i64::MAX / 2, i64::MAX - 1, i64::MAX][self.below(6) as usize],
            1..20 => self.below(20) as i64,
            _ => self.below(1_000) as i64,
        }
    }
}

/// Account, as its kind and number.
pub(crate) type Who = (char, u8);

/// Asset: 0 CNY, 1 EUR, 2 work, from 10 on contracts by hour.
pub(crate) type What = u8;

/// The first hour of a contract that is an asset.
pub(crate) const HOUR_0: What = 10;

/// One thing that somebody asks of the ledger.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Fund {
        tenant: u8,
        currency: u8,
        amount: i64,
    },
    Hold {
        tenant: u8,
        currency: u8,
        attempts: Vec<u32>,
        each: i64,
    },
    Settle {
        attempt: u32,
        centre: u8,
        cost: i64,
        work: u64,
    },
    Void {
        attempt: u32,
    },
    Reserve {
        number: u64,
        debit: Who,
        credit: Who,
        asset: What,
        amount: i64,
        expires_at: Option<i64>,
    },
    PostReserved {
        number: u64,
        amount: i64,
    },
    VoidReserved {
        number: u64,
    },
    Expire,
    Issue {
        centre: u8,
        hour: What,
        amount: i64,
        cap: i64,
    },
    /// Money from buyer to seller through clearing with a fee, and contracts the other way, linked.
    Trade {
        buyer: u8,
        seller: u8,
        hour: What,
        units: i64,
        price: i64,
        fee: i64,
    },
    /// All that somebody still has of an hour goes back to its issuer.
    Return {
        who: Who,
        centre: u8,
        hour: What,
        units: i64,
    },
    CloseHours {
        open_from: What,
    },
    Close {
        who: Who,
    },
}

/// How many of each there are: few, so that operations meet.
pub(crate) const TENANTS: u8 = 3;
pub(crate) const CENTRES: u8 = 2;
pub(crate) const HOURS: u8 = 3;

fn who(draw: &mut Draw, kinds: &str) -> Who {
    let kinds: Vec<char> = kinds.chars().collect();
    let kind = kinds[draw.below(kinds.len() as u64) as usize];
    let count = match kind {
        'F' | 'E' | 'L' | 'P' => 1,
        'C' | 'D' | 'I' | 'S' => CENTRES,
        _ => TENANTS,
    };
    (kind, draw.below(u64::from(count)) as u8)
}

/// An operation at `now`; reservations take the next number, or one that was given.
pub(crate) fn operation(draw: &mut Draw, now: i64, next_number: &mut u64) -> Operation {
    let tenant = draw.below(TENANTS.into()) as u8;
    let centre = draw.below(CENTRES.into()) as u8;
    let hour = HOUR_0 + draw.below(HOURS.into()) as u8;
    let given = 1 + draw.below((*next_number).max(1));
    let attempt = draw.below(16) as u32;
    match draw.below(32) {
        0..4 => Operation::Fund { tenant, currency: draw.below(2) as u8, amount: draw.amount() },
        4..9 => {
            let attempts = (0..draw.below(4)).map(|_| draw.below(16) as u32).collect();
            Operation::Hold { tenant, currency: draw.below(2) as u8, attempts, each: draw.amount() / 4 }
        }
        9..13 => {
            let work = if draw.once_in(20) { u64::MAX } else { draw.below(1_000) };
            Operation::Settle { attempt, centre, cost: draw.amount() / 8, work }
        }
        13 => Operation::Void { attempt },
        14..18 => {
            *next_number += 1;
            let number = if draw.once_in(8) { given } else { *next_number };
            let expires_at = if draw.once_in(2) { Some(now + draw.below(12) as i64 - 1) } else { None };
            let contract = draw.once_in(3);
            let (debit, credit) = match contract {
                true => (who(draw, "SO"), who(draw, "OSI")),
                false => (who(draw, "TTTCPF"), who(draw, "TCPLHE")),
            };
            let asset = if contract { hour } else { draw.below(2) as u8 };
            Operation::Reserve { number, debit, credit, asset, amount: draw.amount(), expires_at }
        }
        18..21 => Operation::PostReserved { number: given, amount: draw.amount() },
        21 => Operation::VoidReserved { number: given },
        22 => Operation::Expire,
        23..25 => Operation::Issue { centre, hour, amount: draw.amount(), cap: 1_500 },
        25..28 => {
            let (units, price) = (draw.amount() / 2, draw.amount());
            let fee = if draw.once_in(3) { draw.below(3) as i64 } else { 0 };
            Operation::Trade { buyer: tenant, seller: centre, hour, units, price, fee }
        }
        28..30 => Operation::Return { who: who(draw, "SO"), centre, hour, units: draw.amount() },
        30 => Operation::CloseHours { open_from: HOUR_0 + draw.below(3) as u8 },
        _ if draw.once_in(4) => Operation::Close { who: who(draw, "TCOSPH") },
        _ => Operation::Expire,
    }
}
