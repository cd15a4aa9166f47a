//! Accounts: who can have something, and the texts by which stored rows name them.

use std::{fmt, str::FromStr};

use huisuan_model::{CentreId, TenantId};

use crate::{
    asset::Asset,
    text::{TextError, serde_as_text},
};

/// One side of a transfer. A balance is what was credited minus what was debited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Where money comes from; its balance is minus all money in the network.
    Funding,
    /// What a tenant may still spend; never negative.
    Tenant(TenantId),
    /// What is set aside for a tenant's attempts; never negative, always the sum of its holds.
    Held(TenantId),
    /// What a centre has earned; never negative.
    Centre(CentreId),
    /// Work that a tenant has used; never negative.
    Used(TenantId),
    /// Work that a centre has delivered; never positive.
    Delivered(CentreId),
    /// Where contracts come from: minus what a centre has promised for hours that are not over; never positive.
    Issued(CentreId),
    /// Contracts that a centre has not sold; never negative.
    Stock(CentreId),
    /// Contracts that a tenant has bought; never negative.
    Owned(TenantId),
    /// What is set aside by reservations; never negative, always the sum of them.
    Escrow,
    /// Where the two sides of a market meet; nothing is on it when linked transfers are done.
    Clearing,
    /// What markets leave to the network: fees, congestion rent and what rounding gave; never negative.
    Surplus,
}

/// Which amounts an account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing or more.
    Holder,
    /// Nothing or less: what comes into the network is taken from here.
    Source,
    /// Nothing, once transfers that belong together are done.
    Passage,
}

impl Account {
    /// Which amounts it may have.
    pub fn side(&self) -> Side {
        match self {
            Account::Funding | Account::Delivered(_) | Account::Issued(_) => Side::Source,
            Account::Clearing => Side::Passage,
            _ => Side::Holder,
        }
    }

    /// True for what is set aside: only holds and reservations move it, so that it is always their sum.
    pub fn is_set_aside(&self) -> bool {
        matches!(self, Account::Held(_) | Account::Escrow)
    }

    /// Whether the asset may stand on it: money, work and contracts each have their own accounts.
    pub fn takes(&self, asset: Asset) -> bool {
        match self {
            Account::Funding | Account::Tenant(_) | Account::Held(_) | Account::Centre(_) | Account::Surplus => {
                matches!(asset, Asset::Currency(_))
            }
            Account::Used(_) | Account::Delivered(_) => matches!(asset, Asset::Work(_)),
            Account::Issued(_) | Account::Stock(_) | Account::Owned(_) => matches!(asset, Asset::Contract(_)),
            Account::Escrow | Account::Clearing => !matches!(asset, Asset::Work(_)),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Funding => write!(f, "funding"),
            Account::Tenant(tenant) => write!(f, "tenant:{tenant}"),
            Account::Held(tenant) => write!(f, "held:{tenant}"),
            Account::Centre(centre) => write!(f, "centre:{centre}"),
            Account::Used(tenant) => write!(f, "used:{tenant}"),
            Account::Delivered(centre) => write!(f, "delivered:{centre}"),
            Account::Issued(centre) => write!(f, "issued:{centre}"),
            Account::Stock(centre) => write!(f, "stock:{centre}"),
            Account::Owned(tenant) => write!(f, "owned:{tenant}"),
            Account::Escrow => write!(f, "escrow"),
            Account::Clearing => write!(f, "clearing"),
            Account::Surplus => write!(f, "surplus"),
        }
    }
}

impl FromStr for Account {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let expected = "funding, escrow, clearing, surplus, or one of tenant: held: centre: used: delivered: issued: \
                        stock: owned: and a name";
        let error = || TextError::new("account", text, expected);
        match text {
            "funding" => return Ok(Account::Funding),
            "escrow" => return Ok(Account::Escrow),
            "clearing" => return Ok(Account::Clearing),
            "surplus" => return Ok(Account::Surplus),
            _ => {}
        }
        // Names may hold colons themselves; only the first one separates.
        let (kind, name) = text.split_once(':').ok_or_else(error)?;
        let tenant = || TenantId::new(name).map_err(|_| error());
        let centre = || CentreId::new(name).map_err(|_| error());
        match kind {
            "tenant" => tenant().map(Account::Tenant),
            "held" => tenant().map(Account::Held),
            "centre" => centre().map(Account::Centre),
            "used" => tenant().map(Account::Used),
            "delivered" => centre().map(Account::Delivered),
            "issued" => centre().map(Account::Issued),
            "stock" => centre().map(Account::Stock),
            "owned" => tenant().map(Account::Owned),
            _ => Err(error()),
        }
    }
}

serde_as_text!(Account);

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 12] = [
        "funding",
        "tenant:x",
        "held:x",
        "centre:hpc-1",
        "used:a:b",
        "delivered:hpc-1",
        "issued:c",
        "stock:c",
        "owned:x",
        "escrow",
        "clearing",
        "surplus",
    ];

    fn read(text: &str) -> Account {
        text.parse().expect("an account")
    }

    #[test]
    fn texts_are_read_back() {
        for text in ALL {
            assert_eq!(read(text).to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "Funding", "funding:", "tenant", "tenant:", "tenant:a b", "bank:x", ":x", "escrow:x"] {
            assert_eq!(text.parse::<Account>().map_err(|error| error.value), Err(text.to_owned()));
        }
    }

    #[test]
    fn stored_form_is_the_text() {
        let json = serde_json::to_string(&read("tenant:lab")).expect("a text");
        assert_eq!(json, r#""tenant:lab""#);
        assert_eq!(serde_json::from_str::<Account>(&json).expect("what was written"), read("tenant:lab"));
    }

    #[test]
    fn every_asset_has_a_source_and_a_holder() {
        for asset in ["CNY", "work:ai", "contract:ai:east:1"] {
            let asset: Asset = asset.parse().expect("an asset");
            let sides = |side| ALL.iter().filter(|text| read(text).takes(asset) && read(text).side() == side).count();
            assert!(sides(Side::Source) == 1 && sides(Side::Holder) >= 1, "{asset}");
        }
    }
}
