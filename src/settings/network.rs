//! Networks of IP addresses, as configured.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::de::Error;
use serde::{Deserializer, Serialize, Serializer};

use super::load;

/// Bits in front of the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_BITS: u8 = 96;

/// An IP network in CIDR notation, or one address. IPv4-mapped IPv6 counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// True for `0.0.0.0/0` and `::/0`.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| {
                format!(
                    "`{text}` is not an IP address and not a network, as in 10.0.0.7, 10.0.0.0/8 \
                     or 2001:db8::/32"
                )
            })?,
        };
        if network.trunc() != network {
            let meant = network.trunc();
            return Err(format!("`{text}` has bits behind its prefix; the network is {meant}"));
        }
        Ok(Self(unmapped(network)))
    }
}

fn unmapped(network: IpNet) -> IpNet {
    let IpAddr::V4(address) = network.addr().to_canonical() else { return network };
    // An IPv4 network has no such prefix, and stays as it is.
    let prefix = network.prefix_len().checked_sub(MAPPED_BITS);
    let mapped = prefix.and_then(|prefix| Ipv4Net::new(address, prefix).ok());
    mapped.map_or(network, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Networks: an array in a file, or one text with commas in the environment.
pub(super) fn networks<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Network>, D::Error> {
    let list = load::list(deserializer)?;
    list.iter().map(|text| text.trim().parse().map_err(D::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    #[test]
    fn a_network_has_the_addresses_of_its_prefix() {
        for (text, inside, outside) in [
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
        ] {
            let (inside, outside) =
                (inside.parse().expect(inside), outside.parse().expect(outside));
            assert!(network(text).contains(inside), "{text} {inside}");
            assert!(!network(text).contains(outside), "{text} {outside}");
        }
        assert!(network("::/0").is_everything() && !network("10.0.0.0/8").is_everything());
    }

    #[test]
    fn an_ambiguous_network_is_rejected_with_a_reason() {
        for text in
            ["", "proxy.internal", "10.0.0.0/33", "10.0.0", "10.0.0.*", "[::1]", "1.2.3.4:80"]
        {
            let error = text.parse::<Network>().expect_err(text);
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        let error = "10.1.2.3/8".parse::<Network>().expect_err("an address in a network");
        assert!(error.ends_with("the network is 10.0.0.0/8"), "{error}");
    }
}
