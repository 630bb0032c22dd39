"""Speed, as ratios within one run: machines differ and are shared; absolute times only inform."""
