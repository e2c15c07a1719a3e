"""The flex API: for FSPs, for MSP apps, and for the CPOs whose sites have a limit."""
