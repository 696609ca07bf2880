"""Go's pseudo-random numbers (math/rand with a fixed seed), bit for bit, as far as Calico's walk needs them.

Go draws from an additive lagged Fibonacci generator, o(n) = o(n-273) + o(n-607) modulo 2^64. To seed it, the 607
values of a fixed state are mixed with a Lehmer generator's. That state is the one which the same generator has after
7.8 * 10^12 steps from seed 1; it stands here as data, and a test computes it anew.
"""

from __future__ import annotations

import functools
import struct

_LENGTH, _TAP = 607, 273
_MASK = (1 << 64) - 1
_LEHMER, _PRIME = 48271, (1 << 31) - 1


class Source:
    """A stream of numbers that depends on the seed only."""

    def __init__(self, seed: int) -> None:
        self._values = _seeded(seed)
        self._feed, self._tap = _LENGTH - _TAP, 0

    def uint32(self) -> int:
        """Draw 32 bits: Go takes the middle ones of the 64."""
        self._feed, self._tap = (self._feed - 1) % _LENGTH, (self._tap - 1) % _LENGTH
        drawn = (self._values[self._feed] + self._values[self._tap]) & _MASK
        self._values[self._feed] = drawn
        return drawn >> 31 & 0xFFFFFFFF

    def below(self, limit: int) -> int:
        """Draw a number from 0 to below `limit` as Go's big.Int does: words of 64 bits until they are small enough."""
        words, mask = -(-limit.bit_length() // 64), (1 << limit.bit_length()) - 1
        while True:
            drawn = sum(self.uint32() << 32 * part for part in range(2 * words)) & mask
            if drawn < limit:
                return drawn


def fnv32(text: str) -> int:
    """Return the 32-bit FNV-1 hash of a text (not FNV-1a)."""
    value = 2166136261
    for byte in text.encode():
        value = value * 16777619 & 0xFFFFFFFF ^ byte
    return value


def _seeded(seed: int) -> list[int]:
    chain = (seed % _PRIME or 89482311) * pow(_LEHMER, 20, _PRIME)
    values = []
    for cooked in _state():
        mixed = 0
        for _ in range(3):
            chain = chain * _LEHMER % _PRIME
            mixed = mixed << 20 ^ chain
        values.append(mixed & _MASK ^ cooked)
    return values


@functools.cache
def _state() -> tuple[int, ...]:
    import base64  # only whoever claims a block needs it

    return struct.unpack(f">{_LENGTH}Q", base64.b85decode(_STATE))


_STATE = (
    "#rH}x>zM!Qz<WwTx|UyC6JEs=%Ym;CN(B2{r$d$Nr|5$mcM#8xeO=_}k2k@?V<FFXL;r=TLdynKYM=RGZYIdlK<L-fNvBaCG!gosaqV|"
    "WBBoGPom`*BU+OJfKfS9tN&!P?aQZV@X_7Pxt`Pf9&ZcSt_n*9}i@ec_m-o!EE~9{~0g=~~%JVB5KWZ{GB;zcv#zM@J9|06Ap(2K#PxF"
    "9irLm(CC$BjmTL+~1y~3TAYATmJDS;)1YNRvU_j*#{gOnj|JBrDk+kmOXQCpdO1H<y~^UL>XrnTfT?*AbS4#-n9nJH8CE@~7q-w@I1z2"
    "st<S<$gcXPHbmb~t%a4i(g4RhzD3y}y>k>C&Kguuo!!YT6+4A&}Y@M%$OaP;rMm7&4W5K08o48QPFbGvkP*^2dcJzQ+r!8PMo=03~T~_"
    "#5zY_tA<J_D`sWq;C0mwA6D<crWo+F(;>v03;g<)tl?4+Qms(AL&~!VU_ywh)gXxR-7xnu<tZo3yWYmP>kXp?-h1%R5jAO9bS+M_3_yE"
    "9*`{<eSg$9e<FK)kKpThIC&0Y0qeV%M1hX1c_QI)23Xd`P}<W#gul3y%yO2Rr-e~L<FhHfoU;{HvAX9*JfM&S`DkxR3{Vtpeo%*L%{AE"
    "nlUm7e-k2D)sufh&P4j;JWHZ{J^^xhV1+w5)7ia4W+xR{yxFm9tQ&O4oy5>cfT3$@+?CN+GTsy-nPAOhfSFGr6i;!xXPp!KM{ZI&M_C#"
    "aJtpkOu{TbH$yXMrT;n6yu{0W~kx0?f;*?1x(gbZ3W7fv|5Mb#S5Q}{2RRNhWL;SKr<hqLbv>IvEGdqbCLQJ%xc%uG-b3rCp`#1rGyKL"
    "_A`&(2%orP9#2w;3Y7MIP!O$b83P$WUJ1_wm-<`)=2c037KB*USnwMD%F76v8pvE<`EN;vCJIkd!^sW=LuED38L?-NkQUP8N@~K~dzZu"
    "(A5~?3PF9&ZoI2cBeuZeZFDdfOm~RNq7!Cl5s>v!ffOdWk*}U8Ru{d4hVQ1VAyRJpAQe|)%9`UM{Z)jGl*_ijByPAQckqyB<NP9o;aDM"
    "RG)l{SA!Uum<Usx1_A&Sxcph}vQboL^N;_Fgqfxk^`<N5Iz3V%P>X_tD@;f@^$?%OXfOEQ(;ThwT*W^O!Eyx&Kx<eg=>Tz35WJT92L%2"
    "#Hq(>)#$20j%&z-Ni?7EplD<G02k^C-*LaEQ7~Tp=xcXR|FBeX6$%7B@v~ah8qGyHOAf~rrBe7z>k?*}E&BcQv`+K)gCbK3Z&^;WlnjZ"
    "wvrSSO)ysqgXMyh=6og9t}{Me_SdSbTuI>gTfyy!m^Ma6lb2%tB_KvRg0Qh5^4_>Z8nD4%;5QTwl5AOgMGisS>R63Rz}4Su3GGM}VS%R"
    "dCa0=Du9$ChM1iaG5w{gT(7*IQ&6A!s4UvRLS>={-9Cdq(LoHn4?^{I@G=u3kK!=l>CBD)hsZIUK^J=EVI6Z|in;Q17+-G41DbZGR*)S"
    "=;=sag*mjG!75jkM$pOq{iKnlv7J?`W&fdz-n?uAlD5+FwGXd84?AOjYVr%3@p~%Tw=TpYJ@58NOVrAxam1w81EE<T!gOSN**$|I&tDO"
    "5AJU##8N20Moum};L_xwBfDqxg5h8Y4-vIN=p=I|u6_9oeJZclRN?fN6f8L!9Y7BDCHg{inFf|-5YC<xB1Ks=*TKx%=0QR^x7v~*w4ac"
    "X_9s<Vf{|-IWGITgpHk4F#|CepWGZHC`;73RjGdSruw$)*W8b1-Shjvj&OH7$>+Hhcw&d$8rBh`8Z_*c@4R;sOxpAVmHX=vc+vU$C)ey"
    "xylMg7Zb8}K*T9w@a1b^#`Fs-pbb6B)mf3!z-cuWw38zAWP>jzW@+$Uc^w#UHPb1nGYrh5-3wk9{P#DvI&VabL`gNybt-v%G<FeiUlmD"
    "3^xEvyt(dea1k<an;>GG`(mO3u+mN0<i%EH!4hr~*?^r+%QhLK=R;{1%+kS0_5KQ7NYYy5#r!ai2r-99!5|=(xW~+SQa8X>s#eKT(RUo"
    "I-FEOhd!C%#MN>m>;@UZ<61)2dt{aR5ie?U$BS}ILo|`@<X*%Y`(g4V-%k-JLjL&_Nv}PA8{mgOwy%Sw#&jxA-rjI!D-%d%J+=)40eGu"
    "@jTsPN)i>H)pO7U8#xU=Y3hsFJFVyjSBtMbc+Fw*GZ?8le`uY_EvHZ%y}nX4TWv&)o3RoA17&8)X7Vw#xSmnz;<q>Ca7Kqz9Ghs*DBmc"
    "fT`4!oi~h28X+*HKDZ)WR!Xr+c^!<5HjRFRb1(5J)-xcM3<gJ*ktBt@3K~=GWfs~{M&PFgN)c<rp(*`3EXzU0@t^t@yhQPx)%wd=|R+t"
    "W2wzRSmuRR4CaH{c2aBSgvHAl<ImEJl)Vgk6?>F8Epib?7i9owulQ>VPSC{xZsqN)=mMxk#y*1=|DOUWo=lK*PXypy1DdO$LOsch;|S{"
    "OTzfo57HA}dUQ(!k_og`Pc4Sh_l<xuS!K%P-|)gQ5($l@k8s%hr*wVY3Xqh&j6W^Q@l<UEc$<?a{=z_9m3X%Yy9*(8dF~hnv%2g;?76f"
    "I?<h$bZ`#VxBUq*LgVA7KSh3<2qKBCt2(O1sljO7fX=Yt2<rm%F<khsCH}6-J3PrLSH7fgUS?#T|6s5pmz3CbY$s@a`@IXF9O{@>P~n;"
    "K$m~$LQ;5l`|ujnk}Dlz%9Wfdi%#k(Y07+|5K}k;Yc@$^S0sDce|!gIT&J=!xW+%F3gc&cptt>Wa5+cVBOkG#+>GFP7Pd1&x5;jI%{i$"
    "F*XDpH6enm~8OrS4oSbaZj*+)bk-__U4h=d~erMCYxEr<+)0X@ViT2_VMSiUNuu1D89pRUo^<_=fT|;cASY0T})7RpLG8ox;FQ>jd&z%"
    "-UAGfFBd!Ed&D=Qz)*(t(;*jkV`USu&1%QI>g5h8uPV`(Mzy7+L-L*URQON4P=2oA+{cOjBT7hdEKSo_&=J$TGETdlm|gq5IngOD<nkB"
    "Pw3IchsoW1FZPh}ejxKd+6PcU-4|>ckB{QJpB00sb-A$KQR#18sl<IDOXJj0Pe1Xd()iS=Ok`dI%>6D(Y7%_(pYL9FYMw$^H4m$3ETu5"
    "fg>tdF{EPrlW`7)mG7Z+{O0$_a_PYYbc|~RV``oLXFO9oV&EXnv%j6PdBdi%Jdvv(?byu&DW`zJbWGHv&<dJ1cMQ$VqUA+UgR9K45%I~"
    "LpWP#<sHBL(`p}Z)cK<S%IeIyC$P(0Ki#fDW8e_v4u4cqsL3ASeqk|GSeFdTi-H^r5Cu$i#6-^#`Gf`tB{sLGU@vP;GZ%){p(go%$*Ik"
    "7gL2!G*XLRXR3uT_q~)OvC}oiZkR<EN__*e;2oroWfb%6IGNTa~sa`@~y<`hvK!7VAmVP|Y@hco(0}zSmf4aG+@f-WIx;_X&JAcEi4II"
    ";Jzq0h%Xt!CzOoVk-Nd?jZ;HV2KVmA7NhNZY?8iP9Hd0>br>yPD)11rm)S0U#Y64E5)+<q3`DdvlUQQ*{-E5J&12+Ihgh4?k5NHU!zO("
    "&W6m+Tp+L^`d&cJl2Ii8X!VcjRXmuXzWqwmh9|C(di&1lwCRo4*1m*<110t})?zCE>GUBk4k(m3_G-l@4F4Jbq{;D(W_Izn@t%veNHEI"
    "WiC|4Sv!d$A8Gd>R%Fo^p0Xj7q>^v^AWB>-~k2>srrMCtfx?nTg?1~qpF~UKLq(>`APSr=<Cy^B8O|<{XySs!6b4|2j-r9zef%7JzA!;"
    "DVQ}Nne~vk5zLVESe0cx162*7t0?%<ctXrvD;qT12)COyl&pjRzjD<Jg!yhPlyG_Y>j?FbX>7M4f&~b2)QDTjtTxrBY`BQEdH$E-Vw8d"
    "qQUv7vJnwl37P&V8y{CF6z7u6u`;Ueb6y2yO2%@*R1Fl=o)5xhF&@wSVhX4VfxM%D><o3b&u#?^8jtFb)ybFVPo^?@|z;FD=BxeQgH1Y"
    ")a$C7n|)fOg9v*CNBbw(3BqdyTFT&lF<qCJil6hkFmNbxAMM9_hpY|$e7IjbN|TqzL0Bab$!kglu{;9r}%om95459BJ!=#OMLdJoOZ#9"
    "AO<0Y^3o$7t=2wz$YG@+FcDL;WMHCB3a$ih+4#e!QITxdB?MJRawdr0R1$;|_(<b$KGBVG=#X;DP=j+=jsrd1p>$i5QnZxf;3q0MzbP%"
    "597))c{9rQWdqe{7`7K;_7WGAYG{t-6P9|mz!P@HlKG}E68$meP!y`mb!zgD#4xSq9unA)1YhB0=)a#7L!Bgi0;jqBx_=GBTFzFEj$AP"
    "JYfl42{G)y!TajsQ{+ULoA}jkInsy_?*d*jb%iHzJAv3c#-*}tbPhW4b6BTqS_F|{3?X<ovNXU>>2Q0x=+<<B&l1BVJ;A6465bTwmPXA"
    "5VrAq7$?aQ({$1iDz%=GCl@!VVrChP8>NV-TgIHax6d2D;#=qvadgmSb?cQpDm4p?Tj7NZUreO%vN%Z?DNhSfrY#$z)W#_E8M8onR;G?"
    "5o#6l;RtQHM^slL@(5v?p0DZRcd-cqcMqDXGg7C8G1d+8tDkD^dmZ3f9oAsEk4z8Uhl{I*HuZKDv--S6iDowU{&f9Gg$p{VI?)P(C}qJ"
    "Ta9g7{e$IvNT@*JMma8YLKuwNk2L`aY`|#vr{BGty5^-4N=TIBhv4Wj4%gV19L;`zxX7k{-J~d~9HGmbz;QkA`V4vb`$m>i*Jsw+zDG^"
    "Q#c7D;yGpu(sPP*VM$@TfP61KU;y2pr9lk8+rCceqhh8pj<JGlo%e7G=QdYuruS;b$OLu`?{x9CwIyA(8jRWDi0yT_GT<Y!iKcGMTVQa"
    "J>q7u$Zpa}1(rvS=m|o_Z_{CmF6OQqKL`gpK3(c}4tPh<9d2>2%^!iU#QUoLB))OR2YAUq9m2NX1ZtKc(3DP-l@Dys;>TwM9-}}9QXBc"
    "nAZ2#OhHH8&*KuA^dY5%PjCnReQrfH;cuHmD2h$M?d~^5frfVlZyu>ND7BDTyT6I(k$UxI@3RdLa)`wFA{LowftG?|9rQ;=tb&6#s_+x"
    "510ls?L=;k0e$+W)5Tg3DV+<Ixw3ZKEl`9Fm`3frn=zDT%bjyct~QZvkm^9Rd?f%J@4XGY`%=I1LfJ`oX;ZsV<8dqXqTJL~ugzeM9+GE"
    "Y7FDV8@ZrU?MmgwrWc&$E{Y)8H4#(>&1$3Rdzr`r&%V<zQVy$iNV94y{BPiMyx+dn#bQX_=Tj5~fvsDeSU|)cj*n+)h5j2#Ad$B$616d"
    "=XZsM`Z$d9Qaxgj$K`|vB3*O6~FdkJE<PGacU^Lqwt(%*YtJ=$uBVRo&=D1G>4t7rV+)LmD_NcnsmoQ6?KZEQ*BH@5pOa%Qd646hpm^;"
    "9~u^Q@`+i)jBR-JVV;8|D)G<dWAFE^Kb;~H<;hDOegZv4dpEWp`m1)WtM2J*&-q>1l51koI-+={A#&SxnS!h38OX?IG{O;$@%4p%`g3-"
    "+Koe|$n5WQ8qMF_>ZJ!jdO?T&hOFgXwi|t3DOrGWBlN~ZKy7cR%L-Rcfc{;D4b931ym~N&I=ChhI;~z9nW@BOI@*KY0M8HYQ#P?F5>t0"
    "j?uN#@-eL)2vStmfC<+#J$1pH2=`$TM)t!`L<N3Z9m-c&3TdxM0eDi8b*doUhcf(1t~3SEly)5bZ%2z|hL3PyaWaGEQ&;zGM?wAwb_V0"
    "o}p9?1iC1&q&_+!#amgcr0Iuo14o?B3l^@ZDq^j5miUBT48o)$qHB7U$^ug|<*g57@%=eMPEsPj(A!Sz<zkQ_=_&Kn^RQ8EEIk2Ywm3q"
    "xWC{9T!!PVPpdgd37;Jz~;rDns?Ij?>pE-W^TBRhXLVlRdVOfG$@8>>y3i3RFT#Pcfw_-8tcAPNk`q?Z$6#}VvYV|TzOT7B4<81)Ia%~"
    "V}1y2$BgwN?l<FRpMIQXlGnROq_5~WAD*k<+v2yqGEd5C^0mRyS>&NoQd=7-e38)#jdgSm%zRTif6A5E5@!4NbB3|oXqslaM$yB)OV)9"
    "*B(-oFEJOVYp02=6SQIfA<l$vigILA85=g8gs`huifa40q{F!nmr0{=_s7TCRoUq|gWD0Q}u;iOTWc<IN9m+X)m<p>e|7*vDIb3H@szT"
    ";oD1YiqmX-7Ll@>M^N%lgD$#>O~nV%t)#8GD1_LE=ur}YD(k3$@(QPZQtQN9rD^?Bfc7AThK<+bTJTOcST`??-VS+K?osNQ8*DXOvu;o"
    "by|$BQ^FbW>WE%zEF~epjKJb6)T}IiLzUF~B9p"
)
