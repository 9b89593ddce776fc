SELECT o_partition, o_epoch FROM lease_round($1, $2, $3, $4)
