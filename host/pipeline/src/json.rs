//! Strict parsing of JSON from plugins and other outsiders: bounded size and depth, no duplicate keys. Only what was parsed here is ever
//! applied. Also the canonical form that hashes and memo keys are made of.
