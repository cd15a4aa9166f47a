use huisuan_model::{Class, PoolId, TariffRule};
use proptest::prelude::*;

use super::*;
use crate::tariff::TariffBook;

const HOUR: i64 = 3_600_000;

struct Names {
    lab: TenantId,
    mill: TenantId,
    centre: CentreId,
    pool: PoolId,
    other: PoolId,
}

fn names() -> Names {
    Names {
        lab: TenantId::new("lab").expect("a name"),
        mill: TenantId::new("mill").expect("a name"),
        centre: CentreId::new("hpc-1").expect("a name"),
        pool: PoolId::new("cpu:x").expect("a name"),
        other: PoolId::new("cpu:y").expect("a name"),
    }
}

impl Names {
    fn scope<'a>(&'a self, tenant: &'a TenantId, pool: &'a PoolId) -> Scope<'a> {
        Scope { tenant, centre: &self.centre, pool, class: Class::Hpc, priority: 0 }
    }
}

fn contract(id: u32, price: AgreedPrice) -> Contract {
    let Names { lab, centre, .. } = names();
    Contract {
        id,
        tenant: lab,
        centre,
        pool: None,
        class: None,
        from: TimeMs(0),
        until: None,
        currency: "CNY".into(),
        price,
        note: String::new(),
    }
}

fn fixed(id: u32, price: i64) -> Contract {
    contract(id, AgreedPrice::PerPh(Money(price)))
}

#[test]
fn a_contract_goes_before_every_rule_and_ends_in_time() {
    let (names, zone) = (names(), Zone::default());
    let mut book = TariffBook::default();
    let rule = TariffRule {
        id: 1,
        centre: names.centre.clone(),
        tenant: Some(names.lab.clone()),
        pool: Some(names.pool.clone()),
        class: None,
        hours: None,
        priority_min: None,
        from: TimeMs(0),
        until: None,
        currency: "CNY".into(),
        price_per_p_h: Money(80),
    };
    book.insert(rule);
    let until = Some(TimeMs(9 * HOUR));
    book.contracts.insert(Contract { until, ..fixed(1, 50) });
    book.contracts
        .insert(Contract { pool: Some(names.other.clone()), ..contract(2, AgreedPrice::DiscountPermille(250)) });
    let told = |tenant, pool, hour: i64| {
        let priced = book.price(&names.scope(tenant, pool), Money(100), TimeMs(hour * HOUR), &zone);
        let contract = priced.contract.map(|contract| (contract.id, contract.list_price.0));
        (priced.rule, contract, priced.price.0)
    };
    assert_eq!(told(&names.lab, &names.pool, 8), (1, Some((1, 80)), 50));
    assert_eq!(told(&names.lab, &names.pool, 9), (1, None, 80), "it is over");
    assert_eq!(told(&names.lab, &names.other, 8), (0, Some((2, 100)), 75), "for the pool goes before for all");
    assert_eq!(told(&names.mill, &names.pool, 8), (0, None, 100), "others have no part in it");
    let highest = |pool, from: i64, until: i64| {
        book.highest(&names.scope(&names.lab, pool), Money(100), TimeMs(from * HOUR), TimeMs(until * HOUR), &zone).0
    };
    assert_eq!((highest(&names.pool, 0, 9), highest(&names.pool, 0, 10)), (50, 80), "a hold covers what comes after");
    let agreed = |tenant, from: i64, until: i64| {
        let scope = names.scope(tenant, &names.pool);
        book.contracts.highest(&scope, Money(100), TimeMs(from * HOUR), TimeMs(until * HOUR)).map(|price| price.0)
    };
    assert_eq!(agreed(&names.lab, 0, 9), Some(50));
    assert_eq!((agreed(&names.lab, 0, 10), agreed(&names.mill, 0, 9)), (None, None));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (names, mut book) = (names(), ContractBook::default());
    book.insert(Contract { until: Some(TimeMs(9 * HOUR)), ..fixed(1, 50) });
    let check = |contract: Contract, expected: &str| {
        let error = book.check(&contract, &Zone::default(), TimeMs(HOUR)).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("; hint: "), "{error}");
    };
    let later = |hour: i64| TimeMs(hour * HOUR);
    check(fixed(2, 5), "which is past");
    check(Contract { from: later(8), ..fixed(2, 5) }, "overlaps contract 1");
    check(Contract { from: TimeMs(9 * HOUR + 1), ..fixed(2, 5) }, "full hour");
    check(Contract { from: later(9), until: Some(later(9)), ..fixed(2, 5) }, "not after");
    check(Contract { from: later(9), ..fixed(2, -1) }, "price is -1 millionths: it is from 0");
    check(Contract { from: later(9), ..contract(2, AgreedPrice::DiscountPermille(1001)) }, "discount is not");
    check(Contract { from: later(9), ..contract(2, AgreedPrice::DiscountPermille(0)) }, "discount is not");
    check(Contract { from: later(9), note: "two\nlines".into(), ..fixed(2, 5) }, "one line");
    check(Contract { from: later(9), currency: "yuan".into(), ..fixed(2, 5) }, "currency");
    let fine = |contract: Contract| book.check(&contract, &Zone::default(), TimeMs(HOUR)).expect("nothing is wrong");
    fine(Contract { from: later(9), ..fixed(2, 5) });
    fine(Contract { from: later(1), class: Some(Class::Hpc), ..fixed(2, 5) });
    fine(Contract { from: later(1), tenant: names.mill.clone(), ..fixed(2, 5) });
}

proptest! {
    /// What is held covers every hour, and no more than the dearest one; with contracts all the time the scheduler's
    /// price is at least that.
    #[test]
    fn a_hold_is_the_dearest_hour(
        contracts in prop::collection::vec((0..40_i64, 1..30_i64, any::<bool>(), 0..200_i64), 0..6),
        from in 0..30_i64,
        length in 1..20_i64,
    ) {
        let (names, zone, mut book) = (names(), Zone::default(), TariffBook::default());
        for (id, (begin, long, pool, price)) in (1..).zip(&contracts) {
            let price = match price % 2 {
                0 => AgreedPrice::PerPh(Money(*price)),
                _ => AgreedPrice::DiscountPermille(1 + *price as u16),
            };
            let (begin, end) = (TimeMs(begin * HOUR), TimeMs((begin + long) * HOUR));
            let pool = pool.then(|| names.pool.clone());
            book.contracts.insert(Contract { from: begin, until: Some(end), pool, ..contract(id, price) });
        }
        let scope = names.scope(&names.lab, &names.pool);
        let (base, begin, end) = (Money(100), TimeMs(from * HOUR), TimeMs((from + length) * HOUR));
        let hours = (from..from + length).map(|hour| book.price(&scope, base, TimeMs(hour * HOUR), &zone));
        let hours: Vec<_> = hours.collect();
        let dearest = hours.iter().map(|hour| hour.price).max().expect("an hour");
        prop_assert_eq!(book.highest(&scope, base, begin, end, &zone), dearest);
        let agreed = book.contracts.highest(&scope, base, begin, end);
        prop_assert_eq!(agreed, hours.iter().all(|hour| hour.contract.is_some()).then_some(dearest));
    }
}
