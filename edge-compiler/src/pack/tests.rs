use super::*;

#[test]
fn constants_are_aligned() {
    let mut constants = Constants::default();
    assert_eq!(constants.push(&[1, 2, 3], 16), 0);
    assert_eq!(constants.push(&[4], 4), 4);
    assert_eq!(constants.push(&[5], 16), 16);
    let bytes = constants.finish();
    assert_eq!(bytes[..5], [1, 2, 3, 0, 4]);
    assert_eq!((bytes.len(), bytes[16]), (20, 5));
}
