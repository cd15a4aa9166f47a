//! `centre add` and `centre token`: what a site needs to join.

use huisuan_api::{
    centres::{CentreToken, NewCentreRequest},
    join::JoinToken,
};
use huisuan_model::CentreId;
use serde::Serialize;

use crate::{
    args::{CentreAddArgs, CentreTokenArgs, EngineArg},
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
};

/// The answer of both.
#[derive(Debug, Serialize)]
struct Invitation {
    centre: String,
    class: String,
    engine: String,
    server: String,
    /// What the site gives to its agent; told this once.
    join: String,
    /// The command to run at the site.
    command: String,
}

/// Makes a centre known, gives its agent a token, and says how to go on.
pub(super) fn add(session: &Session, args: &CentreAddArgs) -> Result<(), Failure> {
    let client = session.client()?;
    client.add_centre(&NewCentreRequest {
        centre: args.centre.to_string(),
        class: args.class.to_string(),
        engine: (args.engine != EngineArg::Local).then(|| args.engine.as_str().to_owned()),
        zone: Some(args.zone.clone()),
        price_per_p_h: Some(args.price.0),
    })?;
    let token = client.centre_token(args.centre.as_str())?;
    invite(session, &args.centre, token, args.address.as_deref())
}

/// Gives the agent of a known centre a new token.
pub(super) fn token(session: &Session, args: &CentreTokenArgs) -> Result<(), Failure> {
    let token = session.client()?.centre_token(args.centre.as_str())?;
    session.output.remark("the token before is void: an agent that has it is no longer heard");
    invite(session, &args.centre, token, args.address.as_deref())
}

fn invite(session: &Session, centre: &CentreId, token: CentreToken, address: Option<&str>) -> Result<(), Failure> {
    let server =
        address.map_or_else(|| session.client().map(|client| client.url().to_owned()), |url| Ok(url.to_owned()))?;
    let class = token.class.parse().map_err(|error: String| Failure::new(Exit::Error, error))?;
    let join = JoinToken { server: server.clone(), centre: centre.clone(), class, token: token.token };
    let mut command = format!("huisuan agent --join {join}");
    if token.engine != "local" {
        command.push_str(&format!(" --engine {} --engine-config {0}.toml", token.engine));
    }
    let (centre, engine) = (token.centre, token.engine);
    let invitation = Invitation { centre, class: token.class, engine, server, join: join.to_string(), command };
    let listing = || {
        let mut listing = Listing::new(&["centre", "class", "engine", "server", "join"]);
        let one = &invitation;
        listing.row([&one.centre, &one.class, &one.engine, &one.server, &one.join].map(Cell::text).into());
        listing
    };
    session.output.one(&invitation, listing, |_| steps(&invitation))?;
    if loopback(&invitation.server) {
        let hint = "the join token names an address of this machine alone: for another machine, add --address URL";
        session.output.remark(hint);
    }
    session.output.remark("the join token is shown this once; whoever has it can speak for the centre");
    Ok(())
}

fn steps(invitation: &Invitation) -> String {
    let Invitation { centre, command, .. } = invitation;
    format!(
        "centre {centre} is known. At its site, as an ordinary user:\n  \
         1. look whether all is in order   {command} --check\n  \
         2. join it                        {command}\n  \
         3. see it here                    huisuan centre show {centre}"
    )
}

fn loopback(url: &str) -> bool {
    ["http://127.", "http://localhost", "http://[::1]"].iter().any(|prefix| url.starts_with(prefix))
}
