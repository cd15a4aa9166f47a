//! Which addresses may be called. A name is resolved once and exactly the addresses that were looked at are connected
//! to, so that a name which answers differently the second time gains nothing.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Resolves names, and refuses those that lead to an address that is not public.
#[derive(Debug)]
pub(super) struct Guard {
    /// `HOST:PORT` of whom the site trusts, wherever they are.
    pub(super) trusted: Arc<[String]>,
    pub(super) names: DefaultResolver,
}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.names.resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let trusted = |name: &String, port: u16| *name == format!("{host}:{port}");
        for address in addresses.iter() {
            if !is_public(address.ip()) && !self.trusted.iter().any(|name| trusted(name, address.port())) {
                let what = format!("host `{host}` is at {}, which is no public address", address.ip());
                return Err(Error::Io(io::Error::new(io::ErrorKind::PermissionDenied, what)));
            }
        }
        Ok(addresses)
    }
}

/// Whether an address is one of the public internet: none of this machine, of this site, of its links, or of no use.
///
/// After the registries of special-purpose addresses, <https://www.iana.org/assignments/iana-ipv4-special-registry> and
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let wide = matches!((a, b), (0 | 10 | 127 | 224.., _) | (100, 64..=127) | (169, 254) | (172, 16..=31));
    let narrow = matches!((a, b), (192, 168) | (198, 18..=19));
    let small = matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113));
    !(wide || narrow || small)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let embedded = |at: usize| {
        let octets = address.octets();
        is_public_v4(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]))
    };
    match (a, b) {
        // Translated and tunnelled addresses lead where the address inside of them does.
        (0x0064, 0xff9b) if address.segments()[2..6] == [0; 4] => embedded(12),
        (0x2002, _) => embedded(2),
        (0x2001, 0..=0x01ff | 0x0db8) | (0x3fff, _) => false,
        // One block alone is given to the public internet.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, public: bool) {
        assert_eq!(is_public(address.parse().expect("an address")), public, "{address}");
    }

    #[test]
    fn nothing_but_the_public_internet_is_public() {
        for public in ["1.1.1.1", "114.114.114.114", "172.32.0.1", "100.128.0.1", "2400:3200::1", "2606:4700::1111"] {
            check(public, true);
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            check(special, false);
        }
        for special in [
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
        ] {
            check(special, false);
        }
        check("64:ff9b::101:101", true);
        check("2002:101:101::1", true);
    }
}
