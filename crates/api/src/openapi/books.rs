//! Routes of money: usage, ledger, bills, tariffs, reports.

use utoipa::openapi::schema::Type;

use super::{
    REFUSED, TEXT,
    build::{Document, Route},
};
use crate::{bills, books, contracts, problem::ErrorCode, reports, routes};

pub(super) fn books_routes(document: &mut Document) {
    ledger_routes(document);
    document.add(
        Route::get(routes::USAGE, "usage", "books", "Tells what the caller's tenant used.")
            .answer::<books::UsageView>(200, "Work by class, and cost."),
    );
    document.add(
        Route::get(routes::LEDGER, "ledger", "books", "Tells the balances of all accounts.")
            .answer::<books::LedgerView>(200, "The balances.")
            .refused(&[ErrorCode::Forbidden]),
    );
    let bills = [
        (routes::BILLS, routes::BILL, routes::BILL_EXPORT, routes::BILL_RECORDS, "bill", "a tenant's bill"),
        (
            routes::STATEMENTS,
            routes::STATEMENT,
            routes::STATEMENT_EXPORT,
            routes::STATEMENT_RECORDS,
            "statement",
            "a centre's settlement statement",
        ),
    ];
    for (list, one, export, records, word, what) in bills {
        bill_routes(document, (list, one, export, records), word, what);
    }
    tariff_routes(document);
    contract_routes(document);
    report_routes(document);
}

fn bill_routes(
    document: &mut Document,
    (list, one, export, records): (&'static str, &'static str, &'static str, &'static str),
    word: &str,
    what: &str,
) {
    let id = |route: Route| {
        route
            .path_parameter("month", "The month, such as 2026-11.", Type::String)
            .path_parameter("id", "Whose.", Type::String)
            .refused(&[ErrorCode::BadRequest, ErrorCode::NotFound])
    };
    document.add(
        Route::get(list, &format!("{word}s"), "books", &format!("Lists the {word}s of a month."))
            .query::<bills::MonthQuery>()
            .answer::<bills::BillList>(200, "The list; tenants see their own alone.")
            .refused(&[ErrorCode::BadRequest]),
    );
    document.add(
        id(Route::get(one, word, "books", &format!("Shows {what}.")))
            .answer::<bills::BillView>(200, "It adds up to what the ledger posted."),
    );
    document.add(
        id(Route::get(export, &format!("{word}-export"), "books", &format!("Gives {what} in another form.")))
            .query::<bills::ExportQuery>()
            .raw_answers(&["text/csv", "text/html"], "CSV, FOCUS or a page."),
    );
    document.add(
        id(Route::get(records, &format!("{word}-records"), "books", "Gives the meter records of a line."))
            .query::<bills::LineQuery>()
            .answer::<bills::RecordList>(200, "The records; they add up to the line."),
    );
}

fn tariff_routes(document: &mut Document) {
    let id = |route: Route| route.path_parameter("id", "The rule's number.", Type::Integer);
    document.add(
        Route::get(routes::TARIFFS, "tariffs", "books", "Lists the prices of centres and the rules of tariffs.")
            .answer::<bills::TariffList>(200, "Prices and rules."),
    );
    document.add(
        Route::post(routes::TARIFF_RULES, "add-tariff-rule", "books", "Adds a rule to a tariff; for operators.")
            .body::<bills::TariffRuleRequest>("The rule.")
            .answer::<bills::TariffRuleView>(201, "The rule with its number.")
            .refused(&REFUSED),
    );
    document.add(
        id(Route::post(routes::TARIFF_RULE_END, "end-tariff-rule", "books", "Ends a rule; for operators."))
            .body::<bills::TariffEndRequest>("When.")
            .answer::<bills::TariffRuleView>(200, "The rule as it is now.")
            .refused(&REFUSED),
    );
    document.add(
        id(Route::post(
            routes::TARIFF_RULE_RERATE,
            "rerate",
            "books",
            "Prices anew what a rule concerns; for operators. Repeating it changes nothing.",
        ))
        .answer::<bills::Rerated>(200, "What was corrected.")
        .refused(&REFUSED),
    );
}

fn contract_routes(document: &mut Document) {
    document.add(
        Route::get(routes::CONTRACTS, "contracts", "books", "Lists contracts between tenants and centres.")
            .answer::<contracts::ContractList>(200, "The contracts; tenants see their own alone."),
    );
    document.add(
        Route::post(routes::CONTRACTS, "make-contract", "books", "Makes a contract; for operators.")
            .body::<contracts::ContractRequest>("The contract: a price or a discount.")
            .answer::<contracts::ContractView>(201, "The contract with its number.")
            .refused(&REFUSED),
    );
    document.add(
        Route::post(routes::CONTRACT_END, "end-contract", "books", "Ends a contract; for operators.")
            .path_parameter("id", "The contract's number.", Type::Integer)
            .body::<contracts::ContractEndRequest>("When.")
            .answer::<contracts::ContractView>(200, "The contract as it is now.")
            .refused(&REFUSED),
    );
}

fn report_routes(document: &mut Document) {
    document.add(
        Route::get(routes::REPORT_GROWTH, "growth", "books", "Tells capacity and delivery by period; for operators.")
            .query::<reports::GrowthQuery>()
            .answer::<reports::GrowthView>(200, "The periods.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::Forbidden]),
    );
    document.add(
        Route::get(routes::REPORT_HOURS, "hours", "books", "Accounts for every hour of every pool; for operators.")
            .query::<reports::HoursQuery>()
            .answer::<reports::HourList>(200, "The hours.")
            .refused(&[ErrorCode::BadRequest, ErrorCode::Forbidden, ErrorCode::NotFound]),
    );
    document.add(
        Route::get(routes::ODDITIES, "oddities", "books", "Lists what was found odd in reports; for operators.")
            .answer::<reports::OddityList>(200, "The newest first.")
            .refused(&[ErrorCode::Forbidden]),
    );
}

fn ledger_routes(document: &mut Document) {
    document.add(
        Route::get(routes::LEDGER_AUDIT, "ledger-audit", "books", "Derives every balance again and checks the chain.")
            .answer::<books::AuditView>(200, "What was found.")
            .refused(&[ErrorCode::Forbidden]),
    );
    document.add(
        Route::get(routes::LEDGER_DAYS, "ledger-days", "books", "Lists the head of the chain at the end of each day.")
            .answer::<books::DayHeads>(200, "The heads.")
            .refused(&[ErrorCode::Forbidden]),
    );
    document.add(
        Route::get(
            routes::LEDGER_EXPORT,
            "ledger-export",
            "books",
            "Exports transfers, or the bills of all tenants, for other programs.",
        )
        .query::<routes::ExportQuery>()
        .raw_answers(&[TEXT, "text/csv", "application/json"], "The export, in the format that was asked for.")
        .refused(&[ErrorCode::BadRequest, ErrorCode::UnknownField, ErrorCode::Forbidden]),
    );
}
