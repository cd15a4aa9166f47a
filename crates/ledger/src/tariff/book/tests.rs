use huisuan_model::HourSet;
use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;

fn centre() -> CentreId {
    CentreId::new("hpc-1").expect("a name")
}

fn pool() -> PoolId {
    PoolId::new("cpu:x").expect("a name")
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a name")
}

/// Work of a tenant that nothing was agreed with.
fn scope<'a>(names: &'a (TenantId, CentreId, PoolId), priority: i32) -> Scope<'a> {
    let (tenant, centre, pool) = names;
    Scope { tenant, centre, pool, class: Class::Hpc, priority }
}

fn names() -> (TenantId, CentreId, PoolId) {
    (tenant("lab"), centre(), pool())
}

fn rule(id: u32, price: i64) -> TariffRule {
    TariffRule {
        id,
        centre: centre(),
        tenant: None,
        pool: None,
        class: None,
        hours: None,
        priority_min: None,
        from: TimeMs(0),
        until: None,
        currency: "CNY".into(),
        price_per_p_h: Money(price),
    }
}

fn hours(text: &str) -> Option<HourSet> {
    Some(text.parse().expect("hours"))
}

#[test]
fn the_most_specific_rule_holds() {
    let mut book = TariffBook::default();
    let rules = [
        rule(1, 10),
        TariffRule { hours: hours("22-6"), ..rule(2, 4) },
        TariffRule { priority_min: Some(100), ..rule(3, 30) },
        TariffRule { priority_min: Some(500), ..rule(4, 50) },
        TariffRule { class: Some(Class::Ai), ..rule(5, 60) },
        TariffRule { pool: Some(pool()), until: Some(TimeMs(48 * HOUR)), from: TimeMs(24 * HOUR), ..rule(6, 70) },
    ];
    for rule in rules {
        book.check(&rule, false, &Zone::default(), TimeMs(0)).expect("no two are about the same");
        book.insert(rule);
    }
    let names = names();
    for (at_hour, priority, expected) in
        [(12, 0, 1), (23, 0, 2), (5, 0, 2), (6, 0, 1), (12, 100, 3), (23, 499, 3), (12, 500, 4), (24, 0, 6), (48, 0, 2)]
    {
        let found = book.holding(&scope(&names, priority), TimeMs(at_hour * HOUR), &Zone::default());
        assert_eq!(found.map(|rule| rule.id), Some(expected), "hour {at_hour}, priority {priority}");
    }
    let other = CentreId::new("else").expect("a name");
    assert_eq!(book.holding(&Scope { centre: &other, ..scope(&names, 0) }, TimeMs(0), &Zone::default()), None);
    // What was agreed with a tenant goes before everything else, and concerns nobody but it.
    let agreed = TariffRule { tenant: Some(tenant("mill")), ..rule(7, 1) };
    book.check(&agreed, false, &Zone::default(), TimeMs(0)).expect("none is about that tenant");
    book.insert(agreed);
    for (who, expected) in [("mill", 7), ("lab", 6)] {
        let who = tenant(who);
        let scope = Scope { tenant: &who, ..scope(&names, 500) };
        let found = book.holding(&scope, TimeMs(24 * HOUR), &Zone::default());
        assert_eq!(found.map(|rule| rule.id), Some(expected), "{who}");
        let highest = book.highest(&scope, Money(0), TimeMs(0), TimeMs(72 * HOUR), &Zone::default());
        assert_eq!(highest, Money(if expected == 7 { 1 } else { 70 }), "{who}");
    }
}

#[test]
fn bad_rules_are_refused_with_their_reason() {
    let now = TimeMs(10 * HOUR);
    let later = TariffRule { from: TimeMs(20 * HOUR), ..rule(1, 10) };
    let check = |changed: TariffRule, expected: &str| {
        let mut book = TariffBook::default();
        book.insert(later.clone());
        let found = book.check(&TariffRule { id: 2, ..changed }, false, &Zone::default(), now);
        let text = found.expect_err(expected).to_string();
        assert!(text.contains(expected) && text.contains("; hint: "), "{text}");
    };
    check(later.clone(), "overlaps rule 1");
    check(TariffRule { until: Some(TimeMs(21 * HOUR)), from: TimeMs(11 * HOUR), ..later.clone() }, "overlaps rule 1");
    check(TariffRule { from: TimeMs(9 * HOUR), until: Some(TimeMs(20 * HOUR)), ..later.clone() }, "is past");
    check(TariffRule { currency: "yuan".into(), ..later.clone() }, "currency");
    check(TariffRule { price_per_p_h: Money(-1), ..later.clone() }, "price is -1 millionths: it is from 0");
    check(
        TariffRule { price_per_p_h: Money(i64::MAX), ..later.clone() },
        "9223372036854775807 millionths: it is from 0 to 10^12",
    );
    check(TariffRule { until: Some(TimeMs(20 * HOUR)), ..later.clone() }, "is not after");
    check(TariffRule { from: TimeMs(11 * HOUR + 1), ..later.clone() }, "full hour");
    check(TariffRule { until: Some(TimeMs(21 * HOUR + 1)), ..later.clone() }, "full hour");
    let mut book = TariffBook::default();
    book.insert(later.clone());
    let fine = [
        TariffRule { from: TimeMs(11 * HOUR), until: Some(TimeMs(20 * HOUR)), ..later.clone() },
        TariffRule { pool: Some(pool()), ..later.clone() },
        TariffRule { hours: hours("8-9"), ..later.clone() },
        TariffRule { priority_min: Some(0), ..later.clone() },
        TariffRule { tenant: Some(tenant("mill")), ..later.clone() },
    ];
    for rule in fine {
        assert_eq!(book.check(&rule, false, &Zone::default(), now), Ok(()), "{rule:?}");
    }
    let ordered = TariffRule { from: TimeMs(9 * HOUR), ..later };
    assert_eq!(book.check(&ordered, true, &Zone::default(), now), Ok(()));
}

fn any_rule() -> impl Strategy<Value = TariffRule> {
    let scope =
        (any::<bool>(), 0..3_u8, any::<bool>(), prop::option::of(0..3_i32), prop::option::of((0..24_u8, 1..24_u8)));
    (scope, 0..60_i64, prop::option::of(1..60_i64), 0..1000_i64).prop_map(|(scope, from, length, price)| {
        let (by_pool, tenant_of, by_class, priority_min, hours) = scope;
        let set = |(from, length): (u8, u8)| (from..from + length).fold(HourSet::NONE, |set, hour| set.with(hour % 24));
        TariffRule {
            tenant: [None, Some(tenant("lab")), Some(tenant("mill"))][usize::from(tenant_of)].clone(),
            pool: by_pool.then(pool),
            class: by_class.then_some(Class::Hpc),
            hours: hours.map(set),
            priority_min,
            from: TimeMs(from * HOUR),
            until: length.map(|length| TimeMs((from + length) * HOUR)),
            ..rule(0, price)
        }
    })
}

proptest! {
    /// Rules that were accepted leave no doubt: no two that hold at one moment are about the same. And what is held
    /// for a span is never below the price of any of its hours.
    #[test]
    fn accepted_rules_leave_no_doubt(
        rules in prop::collection::vec(any_rule(), 0..12),
        from in 0..80_i64,
        length in 1..70_i64,
        priority in -1..4_i32,
    ) {
        let (mut book, zone) = (TariffBook::default(), Zone::named("Asia/Shanghai").expect("a zone"));
        for mut rule in rules {
            rule.id = book.next_id();
            if book.check(&rule, false, &zone, TimeMs(0)).is_ok() {
                book.insert(rule);
            }
        }
        let names = names();
        let scope = scope(&names, priority);
        let base = Money(500);
        let (from, until) = (TimeMs(from * HOUR + 5), TimeMs((from + length) * HOUR + 9));
        let highest = book.highest(&scope, base, from, until, &zone);
        let mut reached = false;
        for hour in from.0.div_euclid(HOUR)..=(until.0 - 1).div_euclid(HOUR) {
            let at = TimeMs((hour * HOUR).max(from.0));
            let holds: Vec<_> = book.rules().into_iter()
                .filter(|rule| met(rule, &scope) && in_force(rule, at))
                .filter(|rule| rule.hours.is_none_or(|hours| hours.contains(zone.hour(at))))
                .map(|rule| { let rank = rank(rule); (rank.0, rank.1, rank.2, rank.3, rank.4) })
                .collect();
            let mut apart = holds.clone();
            apart.sort();
            apart.dedup();
            prop_assert_eq!(apart.len(), holds.len());
            let price = book.holding(&scope, at, &zone).map_or(base, |rule| rule.price_per_p_h);
            prop_assert!(price <= highest);
            reached |= price == highest;
        }
        prop_assert!(reached, "more is held than any hour can cost");
    }
}
