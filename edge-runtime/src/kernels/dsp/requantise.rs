//! From accumulators to packed `i8`, as assembly for the ends of kernels.
//!
//! The arithmetic is that of [`crate::kernels::packing::dsp_forms`]. Channel constants come from
//! the weight stream at `r1`, which moves on. `r0`, `r2`, `r3`, `r12` and `lr` are overwritten.

/// `Form::Fixed` for the four channels (`r4`-`r7`) of one pixel.
macro_rules! fixed_1 {
    () => {
        "ldmia.w r1!, {{r0, r2, r3, r12}}
         smmla r4, r4, r0, r2
         smmla r5, r5, r3, r12
         ldmia.w r1!, {{r0, r2, r3, r12, lr}}
         smmla r6, r6, r0, r2
         smmla r7, r7, r3, r12
         ssat r4, #8, r4, asr #12
         ssat r5, #8, r5, asr #12
         ssat r6, #8, r6, asr #12
         ssat r7, #8, r7, asr #12"
    };
}

/// As `fixed_1`, for a second pixel in `r8`-`r11` as well. The last word of the second LDM is
/// for the decoder only: loading it is how the stream moves past it.
macro_rules! fixed_2 {
    () => {
        "ldmia.w r1!, {{r0, r2, r3, r12}}
         smmla r4, r4, r0, r2
         smmla r8, r8, r0, r2
         smmla r5, r5, r3, r12
         smmla r9, r9, r3, r12
         ldmia.w r1!, {{r0, r2, r3, r12, lr}}
         smmla r6, r6, r0, r2
         smmla r10, r10, r0, r2
         smmla r7, r7, r3, r12
         smmla r11, r11, r3, r12
         ssat r4, #8, r4, asr #12
         ssat r5, #8, r5, asr #12
         ssat r6, #8, r6, asr #12
         ssat r7, #8, r7, asr #12
         ssat r8, #8, r8, asr #12
         ssat r9, #8, r9, asr #12
         ssat r10, #8, r10, asr #12
         ssat r11, #8, r11, asr #12"
    };
}

/// `Form::Plain` of one channel, for the accumulators given.
macro_rules! plain {
    ($($acc:literal),+) => {
        concat!(
            "ldmia.w r1!, {{r2, r3, r12}}\n",
            $("smmla ", $acc, ", ", $acc, ", r2, r3\n",)+
            $("asr.w ", $acc, ", ", $acc, ", r12\n",)+
            $("ssat ", $acc, ", #8, ", $acc, "\n",)+
        )
    };
}

/// `Form::Linear` of one channel, for the accumulators given.
macro_rules! linear {
    ($($acc:literal),+) => {
        concat!(
            "ldmia.w r1!, {{r2, r3, r12}}\n",
            $(
                "smmlar r0, ", $acc, ", r2, r3\n",
                "add.w ", $acc, ", r0, ", $acc, ", asr #31\n",
            )+
            $("asr.w ", $acc, ", ", $acc, ", r12\n",)+
            $("ssat ", $acc, ", #8, ", $acc, "\n",)+
        )
    };
}

/// `Form::Small` of all channels, for lists of the accumulators of channel 0, 1, 2 and 3. In: `r0` the
/// zero point for `halve`, `r3` the addend.
macro_rules! small {
    ($($a:literal),+; $($b:literal),+; $($c:literal),+; $($d:literal),+) => {
        concat!(
            "ldmia.w r1!, {{r2, r12, lr}}\n",
            $("smmla ", $a, ", ", $a, ", r2, r3\n",)+
            $("smmla ", $b, ", ", $b, ", r12, r3\n",)+
            $("asr.w ", $a, ", ", $a, ", lr\n",)+
            "lsr.w lr, lr, #8\n",
            $("asr.w ", $b, ", ", $b, ", lr\n",)+
            "lsr.w lr, lr, #8\n",
            "ldmia.w r1!, {{r2, r12}}\n",
            $("smmla ", $c, ", ", $c, ", r2, r3\n",)+
            $("smmla ", $d, ", ", $d, ", r12, r3\n",)+
            $("asr.w ", $c, ", ", $c, ", lr\n",)+
            "lsr.w lr, lr, #8\n",
            $("asr.w ", $d, ", ", $d, ", lr\n",)+
        )
    };
}

/// `Form::SmallLinear`, else as `small`. In: `r0` as there.
macro_rules! small_linear {
    ($($a:literal),+; $($b:literal),+; $($c:literal),+; $($d:literal),+) => {
        concat!(
            "ldmia.w r1!, {{r2, r3, lr}}\n",
            $(rounded!($a, "r2"),)+
            "lsr.w lr, lr, #8\n",
            $(rounded!($b, "r3"),)+
            "lsr.w lr, lr, #8\n",
            "ldmia.w r1!, {{r2, r3}}\n",
            $(rounded!($c, "r2"),)+
            "lsr.w lr, lr, #8\n",
            $(rounded!($d, "r3"),)+
        )
    };
}

/// One accumulator: rounded product, tie, all but the last of the shift.
macro_rules! rounded {
    ($acc:literal, $multiplier:literal) => {
        concat!(
            "smmulr r12, ",
            $acc,
            ", ",
            $multiplier,
            "\nadd.w ",
            $acc,
            ", r12, ",
            $acc,
            ", asr #31\nasr.w ",
            $acc,
            ", ",
            $acc,
            ", lr\n",
        )
    };
}

/// The end of the small forms: two outputs a register, saturated, then four bytes in the first.
/// `r0` holds twice the zero point above -128 and one, in both halves.
macro_rules! halve {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "pkhbt ",
            $a,
            ", ",
            $a,
            ", ",
            $c,
            ", lsl #16\n",
            "pkhbt ",
            $b,
            ", ",
            $b,
            ", ",
            $d,
            ", lsl #16\n",
            "shadd16 ",
            $a,
            ", ",
            $a,
            ", r0\n",
            "shadd16 ",
            $b,
            ", ",
            $b,
            ", r0\n",
            "usat16 ",
            $a,
            ", #8, ",
            $a,
            "\n",
            "usat16 ",
            $b,
            ", #8, ",
            $b,
            "\n",
            "orr.w ",
            $a,
            ", ",
            $a,
            ", ",
            $b,
            ", lsl #8\n",
            "eor.w ",
            $a,
            ", ",
            $a,
            ", #0x80808080\n",
        )
    };
}

/// `Form::General` of one channel, for the accumulators given, without the clamp.
macro_rules! general {
    ($($acc:literal),+) => {
        concat!(
            "ldmia.w r1!, {{r2, r3, r12, lr}}\n",
            $(
                "and.w r0, lr, ", $acc, ", asr #31\n",
                "smmla ", $acc, ", ", $acc, ", r2, r3\n",
                "sub.w ", $acc, ", ", $acc, ", r0\n",
            )+
            $("asr.w ", $acc, ", ", $acc, ", r12\n",)+
            $("ssat ", $acc, ", #8, ", $acc, "\n",)+
        )
    };
}

/// Four saturated values into the bytes of the first.
macro_rules! pack {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "bfi ",
            $a,
            ", ",
            $b,
            ", #8, #8\n",
            "bfi ",
            $c,
            ", ",
            $d,
            ", #8, #8\n",
            "pkhbt ",
            $a,
            ", ",
            $a,
            ", ",
            $c,
            ", lsl #16\n",
        )
    };
}

/// Four packed values into `r2..=r3`, both bounds repeated in all bytes.
macro_rules! clamp {
    ($a:literal) => {
        concat!(
            "ssub8 r12, ",
            $a,
            ", r2\n",
            "sel ",
            $a,
            ", ",
            $a,
            ", r2\n",
            "ssub8 r12, r3, ",
            $a,
            "\n",
            "sel ",
            $a,
            ", ",
            $a,
            ", r3\n",
        )
    };
}
