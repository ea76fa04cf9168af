//! banhbaoring-plugin-unseal-gcpkms
