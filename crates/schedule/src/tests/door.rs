//! What is refused at the door.

use huisuan_model::{Bytes, Class, Shape};

use crate::{CentreView, never_fits, testing::*};

fn check(centres: &[CentreView], shape: &Shape, expected: Option<&str>) {
    let answer = never_fits(centres, shape).map(|refusal| refusal.to_string());
    let text = answer.as_deref().map(|text| text.split("; hint:").next().unwrap_or(text));
    assert_eq!(text, expected);
}

#[test]
fn what_is_too_large_for_every_centre_is_refused_with_numbers() {
    let two = [centre("a", 2), centre("b", 4).with_pool(pool("cpu:y", Class::Hpc, 8, 0))];
    check(&two, &shape(8), None);
    check(&two, &shape(64), Some("a: needs 64 cores, pool cpu:x has 2; b: needs 64 cores, pool cpu:y has 8"));
    let memory = Shape { memory: Bytes(50 * GIB), ..shape(1) };
    check(&two[..1], &memory, Some("a: needs 50 GiB of memory, pool cpu:x has 8 GiB"));
    check(&two[..1], &gang(3, 1), Some("a: needs 3 x 1 cores, pool cpu:x has 2"));
    check(&two[..1], &rate_shape(Class::Hpc, 25), Some("a: needs 2.5 cores, pool cpu:x has 2"));
    check(&[device_centre("c", 2)], &device_shape(3), Some("c: needs 3 devices, pool A100 has 2"));
}

#[test]
fn other_hardware_is_refused() {
    check(&[centre("a", 2)], &device_shape(1), Some("a: needs devices with 80 GiB of memory each, has pool cpu:x"));
    check(&[device_centre("a", 2)], &shape(1), Some("a: needs a pool without devices, has pool A100"));
    let general = rate_shape(Class::General, 1);
    check(&[centre("a", 2)], &general, Some("a: needs a pool rated in class general, has pool cpu:x"));
}

/// The judge of plans and the fit agree on this with random networks, see `laws.rs`.
#[test]
fn images_run_where_the_engine_runs_them() {
    let image = Shape { image: true, ..shape(1) };
    check(&[centre("a", 2), centre("b", 2).with_images()], &image, None);
    let none = [centre("a", 2), device_centre("c", 2)];
    check(&none, &image, Some("a: runs no container images; c: runs no container images"));
    let hint = never_fits(&none, &image).map(|refusal| refusal.hint).unwrap_or_default();
    assert!(hint.starts_with("no centre runs container images"), "{hint}");
    // What is missing beyond that is told as for any job, and a plain job runs at such a centre, too.
    let large = Shape { image: true, ..shape(64) };
    let both = [centre("a", 2), centre("b", 2).with_images()];
    check(&both, &large, Some("a: runs no container images; b: needs 64 cores, pool cpu:x has 2"));
    check(&[centre("b", 2).with_images()], &shape(1), None);
}

#[test]
fn what_may_yet_become_possible_waits() {
    let large = shape(64);
    check(&[], &large, None);
    check(&[centre("a", 2).unrated()], &large, None);
    check(&[centre("a", 2), CentreView { pools: vec![], ..centre("b", 2) }], &large, None);
    check(&[centre("a", 2)], &Shape { class: Some(Class::Ai), ..large }, None);
}

#[test]
fn a_paused_or_full_centre_is_no_reason_to_refuse() {
    check(&[centre("a", 2).paused()], &shape(2), None);
    check(&[centre("a", 2).used(9)], &shape(2), None);
}

#[test]
fn an_unknown_centre_is_refused_with_the_known_ones() {
    let refusal = never_fits(&[centre("ai-1", 2), centre("hpc-1", 2)], &at(&["hpc-1", "hpc1"], shape(1)));
    let text = refusal.map(|refusal| refusal.to_string());
    assert_eq!(text.as_deref(), Some("hpc1: is not known; hint: did you mean `hpc-1`? known centres: ai-1, hpc-1"));
    let refusal = never_fits(&[centre("ai-1", 2)], &at(&["shanghai"], shape(1)));
    assert_eq!(refusal.map(|refusal| refusal.hint).as_deref(), Some("known centres: ai-1"));
}

#[test]
fn a_list_that_contradicts_the_class_is_refused() {
    let shape = Shape { class: Some(Class::Ai), ..at(&["a"], shape(1)) };
    check(&[centre("a", 2), device_centre("b", 2)], &shape, Some("a: is of class hpc, the job asks for ai"));
}
