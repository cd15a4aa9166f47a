//! `serve`: runs the server of a network until it is told to end.

use huisuan_api::{discovery, join::JoinToken};
use huisuan_model::{Centre, EngineKind, Tariff};
use huisuan_server::{LOCAL_FUNDS, ServeConfig, Server};

use crate::{
    args::ServeArgs,
    commands::{parts, twin::policies::of_network},
    failure::Failure,
    interrupt::Interrupt,
    logging, machine,
    parse::Declared,
    session::Session,
};

/// Blocks until Ctrl-C or SIGTERM.
pub(crate) fn serve(session: &Session, args: &ServeArgs) -> Result<(), Failure> {
    logging::to_stderr();
    let interrupt = Interrupt::listen();
    let data = match &args.data {
        Some(data) => machine::server_data(data),
        None => machine::data_folder()?.join("server"),
    };
    let ceilings = parts::ceilings(&parts::registry(args.parts.as_deref())?);
    let policy = of_network(&args.policy)?;
    let named = if args.policy == "balanced" { String::new() } else { format!(", policy {}", policy.name) };
    let config = ServeConfig {
        data: data.clone(),
        listen: args.listen,
        seed: args.seed,
        funds: LOCAL_FUNDS,
        discovery: Some(discovery::Folder::of_user()),
    };
    let server = Server::start_under(policy, config)?;
    server.set_ceilings(ceilings);
    let (url, folder) = (server.url(), data.display());
    session.output.remark(&format!("server at {url}, data in {folder}{named}; Ctrl-C ends it"));
    for declared in &args.centres {
        server.set_centre(centre(declared))?;
        if server.has_own_token(&declared.centre) {
            session.output.remark(&format!("centre {}: joined by the token that it was given", declared.centre));
            continue;
        }
        let join = JoinToken {
            server: server.url(),
            centre: declared.centre.clone(),
            class: declared.class,
            token: server.agent_token(&declared.centre),
        };
        session.output.remark(&format!("centre {}: join it with `huisuan agent --join {join}`", declared.centre));
    }
    interrupt.wait();
    session.output.remark("ending ...");
    server.stop();
    Ok(())
}

/// A centre as the operator declares it; what its agent finds is added when it joins.
pub(crate) fn centre(declared: &Declared) -> Centre {
    let tariff = Tariff { currency: "CNY".to_owned(), price_per_p_h: declared.price_per_p_h };
    Centre::new(declared.centre.clone(), declared.class, EngineKind::Local, &declared.zone, tariff)
}
