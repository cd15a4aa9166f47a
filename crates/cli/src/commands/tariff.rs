//! `tariff ls|add|end|rerate`.

use huisuan_api::{
    bills::{Rerated, TariffEndRequest, TariffList, TariffRuleRequest, TariffRuleView},
    routes,
};

use crate::{
    args::{TariffAddArgs, TariffCommand},
    commands::jobs::amount,
    failure::Failure,
    parse::Moment,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// Runs one of them.
pub(crate) fn tariff(session: &Session, command: &TariffCommand) -> Result<(), Failure> {
    match command {
        TariffCommand::Ls => {
            let list: TariffList = session.client()?.ask(routes::TARIFFS, &[], &())?;
            session.output.list(&list, &list.rules, "no centres", || listing(&list))
        }
        TariffCommand::Add(args) => add(session, args),
        TariffCommand::End(args) => {
            let until = args.at.map(|moment| moment.at(session.now()));
            let id = args.rule.to_string();
            let rule: TariffRuleView =
                session.client()?.order(routes::TARIFF_RULE_END, &[("id", &id)], &TariffEndRequest { until })?;
            one(session, &rule)
        }
        TariffCommand::Rerate(args) => rerate(session, args.rule),
    }
}

fn add(session: &Session, args: &TariffAddArgs) -> Result<(), Failure> {
    let moment = |moment: Option<Moment>| moment.map(|moment| moment.at(session.now()));
    let request = TariffRuleRequest {
        centre: args.centre.to_string(),
        tenant: args.tenant.as_ref().map(ToString::to_string),
        pool: args.pool.as_ref().map(ToString::to_string),
        class: args.class.map(|class| class.to_string()),
        hours: args.hours.map(|hours| hours.to_string()),
        priority_min: args.priority,
        from: moment(args.from),
        until: moment(args.until),
        price_per_p_h: args.price.0,
        rerate: args.rerate,
    };
    let rule: TariffRuleView = session.client()?.order(routes::TARIFF_RULES, &[], &request)?;
    one(session, &rule)?;
    if args.rerate { rerate(session, rule.rule) } else { Ok(()) }
}

fn rerate(session: &Session, rule: u32) -> Result<(), Failure> {
    let id = rule.to_string();
    let done: Rerated = session.client()?.order(routes::TARIFF_RULE_RERATE, &[("id", &id)], &())?;
    if done.running > 0 {
        let again = format!("`huisuan tariff rerate {rule}`");
        session.output.remark(&format!("{} records are of what ended meanwhile: {again} once more", done.running));
    }
    session.output.one(
        &done,
        || {
            let mut listing = Listing::new(&["rule", "corrected", "difference_millionths", "running"]);
            listing.row(vec![
                Cell::text(done.rule),
                Cell::text(done.corrected),
                Cell::text(done.difference.amount),
                Cell::text(done.running),
            ]);
            listing
        },
        |_| format!("{} corrected, {}", text::count(done.corrected, "record"), amount(&done.difference)),
    )
}

fn one(session: &Session, rule: &TariffRuleView) -> Result<(), Failure> {
    let list = TariffList { base: Vec::new(), rules: vec![rule.clone()] };
    session.output.one(rule, || listing(&list), |output| output.table(&listing(&list)))
}

/// The centres' own prices first, then the rules.
fn listing(list: &TariffList) -> Listing {
    let columns =
        ["rule", "centre", "tenant", "pool", "class", "hours", "priority", "from", "until", "price_per_p_h_millionths"];
    let mut listing = Listing::with_details(&columns, &["zone", "currency"]);
    let optional = |value: Option<String>| value.map_or_else(Cell::none, Cell::text);
    for base in &list.base {
        let mut row = vec![Cell::text("base"), Cell::text(&base.centre)];
        row.extend((0..7).map(|_| Cell::none()));
        row.push(Cell::figure(amount(&base.price_per_p_h), base.price_per_p_h.amount));
        row.extend([Cell::text(&base.zone), Cell::text(&base.price_per_p_h.currency)]);
        listing.row(row);
    }
    for rule in &list.rules {
        listing.row(vec![
            Cell::text(rule.rule),
            Cell::text(&rule.centre),
            optional(rule.tenant.clone()),
            optional(rule.pool.clone()),
            optional(rule.class.clone()),
            optional(rule.hours.clone()),
            optional(rule.priority_min.map(|priority| priority.to_string())),
            Cell::text(rule.from),
            optional(rule.until.map(|until| until.to_string())),
            Cell::figure(amount(&rule.price_per_p_h), rule.price_per_p_h.amount),
            Cell::none(),
            Cell::text(&rule.price_per_p_h.currency),
        ]);
    }
    listing
}
