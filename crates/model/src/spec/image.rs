//! The one way to name a container image: its registry, its name there and the digest of its content, so that what
//! runs is what was meant, whoever pushes to the registry meanwhile.

use super::{SpecError, check};

/// The longest name of an image.
const LENGTH_MAX: usize = 512;
/// What comes between a name and its digest.
const DIGEST: &str = "@sha256:";

/// Whether `image` is `REGISTRY/NAME@sha256:` and 64 digits. `localhost` is the registry of images made at a centre.
pub(super) fn validate(image: &str) -> Result<(), SpecError> {
    let (name, digest) = image.split_once(DIGEST).unwrap_or((image, ""));
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    check(image.len() <= LENGTH_MAX, "image", format_args!("{} characters", image.len()), "at most 512 characters")?;
    check(
        digest.len() == 64 && digest.bytes().all(hexadecimal),
        "image",
        image,
        "REGISTRY/NAME@sha256:DIGEST, for a tag may name another image tomorrow; \
         `skopeo inspect` or `podman images --digests` tells the digest",
    )?;
    let (registry, path) = name.split_once('/').unwrap_or(("", name));
    check(
        is_registry(registry),
        "image",
        image,
        "a name that begins with its registry, such as docker.io/library/debian@sha256:... or localhost/mine@sha256:...",
    )?;
    check(
        path.split('/').all(is_part),
        "image",
        image,
        "a name of lower-case letters, digits and . _ - between slashes, without a tag beside the digest",
    )
}

/// A host name with a dot or a port, or `localhost`: what has neither is a folder of whatever registry is asked first.
fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let port_good =
        port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()));
    is_part(host) && port_good && (port.is_some() || host.contains('.') || host == "localhost")
}

fn is_part(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().all(|b| plain(b) || b"._-".contains(&b))
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_registry_and_digest() {
        let digest = "0123456789abcdef".repeat(4);
        let good = |name: &str| assert_eq!(validate(&format!("{name}@sha256:{digest}")), Ok(()), "{name}");
        for name in ["docker.io/library/debian", "localhost/a", "registry:5000/a/b_c/d-e.f", "10.0.0.1/x"] {
            good(name);
        }
        let bad = |image: &str, hint: &str| {
            let error = validate(image).expect_err(image);
            assert!(error.field == "image" && error.expected.contains(hint), "{image}: {error}");
        };
        for image in ["", "debian", "docker.io/debian:12", "docker.io/a@sha256:0", "docker.io/a@md5:0"] {
            bad(image, "tag");
        }
        bad(&format!("docker.io/a@sha256:{}", digest.to_uppercase()), "tag");
        bad(&format!("docker.io/a@sha256:{digest}@sha256:{digest}"), "tag");
        for name in ["debian", "library/debian", "--privileged/a", "/a", "registry:/a", "registry:x/a", "oci:/etc.d/a"]
        {
            bad(&format!("{name}@sha256:{digest}"), "registry");
        }
        for name in [
            "docker.io/",
            "docker.io/a:12",
            "docker.io/../a",
            "docker.io//a",
            "docker.io/A",
            "docker.io/a b",
            "docker.io/-v",
            "docker.io/a$(id)",
            "docker.io/汇",
        ] {
            bad(&format!("{name}@sha256:{digest}"), "slashes");
        }
        bad(&format!("docker.io/{}@sha256:{digest}", "a".repeat(500)), "512");
    }
}
