//! `contract ls|add|end`.

use huisuan_api::{
    contracts::{ContractEndRequest, ContractList, ContractRequest, ContractView},
    routes,
};

use crate::{
    args::{ContractAddArgs, ContractCommand},
    commands::jobs::amount,
    failure::Failure,
    parse::Moment,
    session::Session,
    table::{Cell, Listing},
};

/// Runs one of them.
pub(crate) fn contract(session: &Session, command: &ContractCommand) -> Result<(), Failure> {
    let client = session.client()?;
    match command {
        ContractCommand::Ls => {
            let list: ContractList = client.ask(routes::CONTRACTS, &[], &())?;
            session.output.list(&list, &list.contracts, "no contracts", || listing(&list.contracts))
        }
        ContractCommand::Add(args) => {
            let made: ContractView = client.order(routes::CONTRACTS, &[], &request(session, args))?;
            one(session, &made)
        }
        ContractCommand::End(args) => {
            let until = args.at.map(|moment| moment.at(session.now()));
            let id = args.contract.to_string();
            let ended = client.order(routes::CONTRACT_END, &[("id", &id)], &ContractEndRequest { until })?;
            one(session, &ended)
        }
    }
}

fn request(session: &Session, args: &ContractAddArgs) -> ContractRequest {
    let moment = |moment: Option<Moment>| moment.map(|moment| moment.at(session.now()));
    ContractRequest {
        tenant: args.tenant.to_string(),
        centre: args.centre.to_string(),
        pool: args.pool.as_ref().map(ToString::to_string),
        class: args.class.map(|class| class.to_string()),
        from: moment(args.from),
        until: moment(args.until),
        price_per_p_h: args.price.map(|price| price.0),
        discount_permille: args.discount,
        note: args.note.clone(),
    }
}

fn one(session: &Session, contract: &ContractView) -> Result<(), Failure> {
    let one = std::slice::from_ref(contract);
    session.output.one(contract, || listing(one), |output| output.table(&listing(one)))
}

fn listing(contracts: &[ContractView]) -> Listing {
    let columns = ["contract", "tenant", "centre", "pool", "class", "from", "until", "price_per_p_h", "state"];
    let mut listing = Listing::with_details(&columns, &["discount_permille", "currency", "note"]);
    let optional = |value: Option<String>| value.map_or_else(Cell::none, Cell::text);
    for one in contracts {
        let less = one.discount_permille.map(|less| format!("-{}.{}%", less / 10, less % 10));
        let price = match &one.price_per_p_h {
            Some(price) => Cell::figure(amount(price), price.amount),
            None => optional(less),
        };
        listing.row(vec![
            Cell::text(one.contract),
            Cell::text(&one.tenant),
            Cell::text(&one.centre),
            optional(one.pool.clone()),
            optional(one.class.clone()),
            Cell::text(one.from),
            optional(one.until.map(|until| until.to_string())),
            price,
            Cell::state(&one.state),
            optional(one.discount_permille.map(|less| less.to_string())),
            optional(one.price_per_p_h.as_ref().map(|price| price.currency.clone())),
            Cell::text(&one.note),
        ]);
    }
    listing
}
