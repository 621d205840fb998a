# For the others here: the median of list[1] to list[n], which it sorts.

function median(list, n,    i, k, v)
{
    for (i = 2; i <= n; i++) {
        v = list[i]
        for (k = i - 1; k > 0 && list[k] > v; k--)
            list[k + 1] = list[k]
        list[k + 1] = v
    }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
